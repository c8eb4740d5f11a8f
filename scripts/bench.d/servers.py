"""The servers under test by name. A new one is a subclass of `Server` and a line in `SERVERS`."""

from collections.abc import Callable
from pathlib import Path

from headgate import Headgate
from proxies import Haproxy, Nginx
from server import Programs, Server
from standin import Floor

Make = Callable[[Path, Programs, int], Server]


def headgate(durability: str, **options: bool) -> Make:
    return lambda folder, programs, broker_port: Headgate(folder, programs, broker_port, durability, **options)


def nginx_tls(folder: Path, programs: Programs, broker_port: int) -> Nginx:
    return Nginx(folder, programs, broker_port, tls=True)


# In the order of a round; the ratios are to the one called FLOOR.
FLOOR = "floor"
SERVERS: dict[str, Make] = {
    FLOOR: Floor,
    "nginx": Nginx,
    "haproxy": Haproxy,
    "headgate-memory": headgate("memory"),
    "headgate-broker": headgate("broker"),
    "headgate-disk": headgate("disk"),
    "headgate-key": headgate("disk", key=True),
    "headgate-key-memory": headgate("memory", key=True),
    "nginx-tls": nginx_tls,
    "headgate-tls": headgate("disk", tls=True),
    "headgate-tls-memory": headgate("memory", tls=True),
}

NOTES = {
    FLOOR: "axum as it comes, reading each body whole and answering `ok`",
    "nginx": "`proxy_pass` with kept connections, a worker for each core, bodies and answers in memory",
    "haproxy": "`http-reuse always`, a thread for each core",
    "headgate-key": "`disk`, with an API key that each request bears",
    "headgate-tls": "`disk`, with TLS 1.3 on kept connections; `nginx-tls` beside it",
}
