"""Load from wrk: a closed loop, in which each connection sends its next request when it has the answer to the last."""

import json
import math
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bodies import Body
from server import Server

# One thread of wrk keeps far more than any of the servers busy, and leaves them the other cores.
THREADS = 1

SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True)
class Load:
    """What wrk saw. It closes its connections when its time is over, so that up to one request for each
    connection has been sent, and may have been taken, without being counted."""

    requests: int
    duration_us: int
    p50_us: int
    p99_us: int
    p999_us: int
    refused: int
    socket_errors: int


class Wrk:
    """A running wrk."""

    def __init__(self, server: Server, body: Body, connections: int, seconds: float):
        body_file = server.folder / f"body-{time.monotonic_ns()}"
        body_file.write_bytes(body.content)
        command = ["wrk", "--threads", str(THREADS), "--connections", str(connections)]
        command += ["--duration", f"{math.ceil(seconds)}s", "--timeout", "30s", "--script", str(SCRIPT)]
        command += [server.url(), "--", str(body_file), body.content_type]
        for name, value in server.headers.items():
            command += [name, value]
        self.ends_at = time.monotonic() + seconds
        self.is_cut = seconds < math.ceil(seconds)
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self) -> Load:
        """Waits for the end."""
        if self.is_cut:
            # wrk knows whole seconds only; the signal ends it in good order.
            time.sleep(max(0.0, self.ends_at - time.monotonic()))
            self.child.send_signal(signal.SIGINT)
        output, errors = self.child.communicate()
        if self.child.returncode:
            raise subprocess.CalledProcessError(self.child.returncode, "wrk", output, errors)
        return Load(**json.loads(output.splitlines()[-1]))


def run(server: Server, body: Body, connections: int, seconds: float) -> Load:
    return Wrk(server, body, connections, seconds).result()
