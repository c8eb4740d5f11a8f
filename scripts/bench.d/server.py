"""What every server under test has in common, and what is asked of it."""

from dataclasses import dataclass
from pathlib import Path

from processes import Process, free_port


@dataclass(frozen=True)
class Programs:
    """Paths of the programs that are started; those that are not under test are None."""

    floor: Path
    sink: Path
    headgate: Path | None = None
    nginx: str | None = None
    haproxy: str | None = None


@dataclass(frozen=True)
class Counts:
    """What the Broker stand-in has taken since its start."""

    requests: int
    events: int  # none of compressed bodies
    bytes: int


@dataclass(frozen=True)
class Books:
    """A server's own counters since its start."""

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
    tls = False
    # What each request of the load bears beside its media type.
    headers: dict[str, str] = {}

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

    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/"

    def start(self) -> None:
        self.process = Process(self.command(), self.folder / "log")
        try:
            self.process.await_answer(self.port, self.health_path, self.tls)
        except BaseException:
            self.process.stop()
            raise

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.process.stop()
