"""Free ports on the loopback address."""
import random
import socket

# Below the range from which Linux takes the ports of outgoing connections, so that no client of a
# test can take the port between its choice here and the start of the server that is told to use it.
LOWEST, HIGHEST = 20_000, 32_000

_given: set[int] = set()


def free_port() -> int:
    """A port on which nobody listens, and that no other caller was given."""
    while True:
        port = random.randint(LOWEST, HIGHEST)
        if port in _given:
            continue
        _given.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
