"""The Broker stand-in and the floor: the programs of benches/floor."""

from pathlib import Path

from processes import ask, get
from server import Counts, Programs, Server


class Sink(Server):
    """The Broker stand-in. With `check` it notes the number of each event."""

    health_path = "/counts"

    def __init__(self, folder: Path, programs: Programs, port: int | None = None, check: bool = False):
        super().__init__(folder)
        self.port = port or self.port
        self.binary = programs.sink
        self.check = check

    def command(self) -> list[str]:
        return [str(self.binary), f"127.0.0.1:{self.port}", *(["check"] if self.check else [])]

    def counts(self) -> Counts:
        return Counts(*map(int, get(self.port, "/counts")[1].split()))

    def answer_after(self, milliseconds: int) -> None:
        """So long each answer takes from now on."""
        ask(self.port, "PUT", "/delay", str(milliseconds))

    def numbers(self) -> tuple[int, list[tuple[int, int, int]]]:
        """Events without a number; then the numbers that came: first, last, how often each of them."""
        strange, *runs = get(self.port, "/numbers")[1].splitlines()
        return int(strange), [tuple(map(int, run.split())) for run in runs]


class Floor(Server):
    """The least that an axum server can do."""

    forwards = False

    def __init__(self, folder: Path, programs: Programs, _broker_port: int):
        super().__init__(folder)
        self.binary = programs.floor

    def command(self) -> list[str]:
        return [str(self.binary), f"127.0.0.1:{self.port}"]
