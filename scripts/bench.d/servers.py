"""The servers under test and the Broker stand-in: how each is configured, started and asked for its books.

A new one is a subclass of `Server` and a line in `SERVERS`.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from processes import Process, free_port, get

# As many as the runtime of the Rust servers takes threads.
NGINX_WORKERS = os.cpu_count() or 1

NGINX_CONFIGURATION = """
{user}
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 100m;
    client_body_buffer_size 1m;
    keepalive_requests 1000000000;
    upstream broker {{
        server 127.0.0.1:{broker_port};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_time 1h;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://broker;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""

# All else is at its default: what is measured is what a user gets.
HEADGATE_CONFIGURATION = """
[server]
listen = "127.0.0.1:{port}"
drain_delay = "0s"
[admin]
listen = "127.0.0.1:{admin_port}"
[ingest]
durability = "{durability}"
[spool]
dir = "{folder}/spool"
[dead_letters]
dir = "{folder}/dead-letters"
[broker]
urls = ["http://127.0.0.1:{broker_port}/"]
[log]
level = "warn"
"""


@dataclass(frozen=True)
class Programs:
    """Paths of the programs that are started."""

    floor: Path
    sink: Path
    headgate: Path | None  # None where it is not under test
    nginx: str


@dataclass(frozen=True)
class Counts:
    """What the Broker stand-in has taken since its start."""

    requests: int
    events: int  # none of compressed bodies
    bytes: int


@dataclass(frozen=True)
class Books:
    """Headgate's own counters since its start."""

    accepted: int
    delivered: int
    dead_lettered: int
    syncs: int  # of the spool on disk
    in_flight_bytes: int  # of requests that are not answered yet

    def settled(self) -> bool:
        return self.accepted == self.delivered + self.dead_lettered and not self.in_flight_bytes


class Server:
    """A running server; `port` takes the load."""

    health_path = "/"
    forwards = True

    def __init__(self, folder: Path):
        folder.mkdir()
        self.folder = folder
        self.port = free_port()
        self.process: Process

    def command(self) -> list[str]:
        """Writes what the server needs into its folder and returns how to start it."""
        raise NotImplementedError

    def books(self) -> Books | None:
        """The server's own counters; None for one that keeps none."""
        return None

    def __enter__(self):
        self.process = Process(self.command(), self.folder / "log")
        try:
            self.process.await_answer(self.port, self.health_path)
        except BaseException:
            self.process.stop()
            raise
        return self

    def __exit__(self, *_):
        self.process.stop()


class Sink(Server):
    health_path = "/counts"

    def __init__(self, folder: Path, programs: Programs, port: int | None = None):
        super().__init__(folder)
        self.port = port or self.port
        self.binary = programs.sink

    def command(self) -> list[str]:
        return [str(self.binary), f"127.0.0.1:{self.port}"]

    def counts(self) -> Counts:
        return Counts(*map(int, get(self.port, "/counts")[1].split()))


class Floor(Server):
    forwards = False

    def __init__(self, folder: Path, programs: Programs, _broker_port: int):
        super().__init__(folder)
        self.binary = programs.floor

    def command(self) -> list[str]:
        return [str(self.binary), f"127.0.0.1:{self.port}"]


class Nginx(Server):
    def __init__(self, folder: Path, programs: Programs, broker_port: int):
        super().__init__(folder)
        self.binary = programs.nginx
        self.broker_port = broker_port

    def command(self) -> list[str]:
        configuration = self.folder / "nginx.conf"
        configuration.write_text(
            NGINX_CONFIGURATION.format(
                # Its workers must reach the temporary folder, which is the starting user's alone.
                user="user root;" if os.geteuid() == 0 else "",
                workers=NGINX_WORKERS,
                folder=self.folder,
                port=self.port,
                broker_port=self.broker_port,
            )
        )
        return [self.binary, "-p", str(self.folder), "-e", "stderr", "-c", str(configuration)]


class Headgate(Server):
    health_path = "/ready"

    def __init__(self, folder: Path, programs: Programs, broker_port: int, durability: str):
        super().__init__(folder)
        self.binary = programs.headgate
        self.broker_port = broker_port
        self.durability = durability
        self.admin_port = free_port()

    def command(self) -> list[str]:
        configuration = self.folder / "headgate.toml"
        configuration.write_text(
            HEADGATE_CONFIGURATION.format(
                folder=self.folder,
                port=self.port,
                admin_port=self.admin_port,
                broker_port=self.broker_port,
                durability=self.durability,
            )
        )
        return [str(self.binary), "serve", "--config", str(configuration)]

    def books(self) -> Books:
        metrics = get(self.admin_port, "/metrics")[1]
        return Books(
            accepted=counter(metrics, "headgate_events_accepted_total"),
            delivered=counter(metrics, "headgate_events_delivered_total"),
            dead_lettered=counter(metrics, "headgate_events_dead_lettered_total"),
            syncs=counter(metrics, "headgate_spool_sync_duration_seconds_count"),
            in_flight_bytes=counter(metrics, "headgate_in_flight_bytes"),
        )


def counter(metrics: str, name: str) -> int:
    """A counter of a Prometheus text, summed over its labels; 0 where it has not counted yet."""
    samples = re.findall(rf"^{name}(?:{{[^\n]*}})? (\S+)", metrics, re.MULTILINE)
    return int(sum(map(float, samples)))


def headgate(durability: str) -> Callable[[Path, Programs, int], Headgate]:
    return lambda folder, programs, broker_port: Headgate(folder, programs, broker_port, durability)


# In the order of a round; the ratios are to the one called FLOOR.
FLOOR = "floor"
SERVERS: dict[str, Callable[[Path, Programs, int], Server]] = {
    FLOOR: Floor,
    "nginx": Nginx,
    "headgate-memory": headgate("memory"),
    "headgate-broker": headgate("broker"),
    "headgate-disk": headgate("disk"),
}
