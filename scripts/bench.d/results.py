"""What a run found, and how it is kept: a JSON file from which tables, bars and plots are made."""

import dataclasses
import datetime
import json
import os
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from measure import Measurement

# What the files say of themselves; another shape of them gets another number.
VERSION = 1

# The measurements of one server under one body, a round each; a round without the server is left out.
Rounds = dict[int, Measurement]


@dataclass(frozen=True)
class Cell:
    """What is measured beside each other in a round."""

    body: str
    connections: int


@dataclass(frozen=True)
class One:
    """A measurement and where it belongs."""

    body: str
    connections: int
    server: str
    round: int
    figures: Measurement


@dataclass(frozen=True)
class SyncTimes:
    """The disk alone, once a round."""

    round: int
    p50_us: float
    p99_us: float


@dataclass(frozen=True)
class Mixed:
    """Latency of one body's clients while others send too, with a Broker that takes so long to answer."""

    server: str
    round: int
    broker_ms: int
    body: str
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    refused: int
    faults: tuple[str, ...] = ()


@dataclass
class Results:
    """All of a run."""

    command: str
    rounds: int
    seconds: float
    date: str = ""
    machine: str = ""
    versions: list[str] = field(default_factory=list)
    bodies: dict[str, tuple[int, int]] = field(default_factory=dict)  # events of a request, bytes of an event
    disk: list[SyncTimes] = field(default_factory=list)
    cells: list[One] = field(default_factory=list)
    mixed: list[Mixed] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def of(self, cell: Cell) -> dict[str, Rounds]:
        """By server, in the order in which they were first measured."""
        found: dict[str, Rounds] = {}
        for one in self.cells:
            if Cell(one.body, one.connections) == cell:
                found.setdefault(one.server, {})[one.round] = one.figures
        return found

    def all_cells(self) -> list[Cell]:
        return list(dict.fromkeys(Cell(one.body, one.connections) for one in self.cells))

    def sync_us(self, name: str) -> float | None:
        """Median over the rounds of the disk's own p50_us or p99_us."""
        times = [getattr(one, name) for one in self.disk]
        return median(times) if times else None

    def faults(self) -> list[str]:
        found = list(self.failures)
        for one in self.cells:
            where = f"{one.server}, {one.body}, {one.connections} connections, round {one.round}"
            found += [f"{where}: {fault}" for fault in one.figures.faults]
        for one in self.mixed:
            where = f"{one.server}, mixed, Broker {one.broker_ms} ms, round {one.round}"
            found += [f"{where}: {fault}" for fault in one.faults]
        return found

    def save(self, file: Path) -> None:
        file.write_text(json.dumps({"version": VERSION, **dataclasses.asdict(self)}, indent=1) + "\n")

    @classmethod
    def load(cls, file: Path) -> "Results":
        kept = json.loads(file.read_text())
        if (version := kept.pop("version", None)) != VERSION:
            raise ValueError(f"{file} has version {version}; this reads {VERSION}")
        kept["disk"] = [SyncTimes(**one) for one in kept["disk"]]
        kept["mixed"] = [Mixed(**one) for one in kept["mixed"]]
        kept["cells"] = [One(**{**one, "figures": Measurement(**one["figures"])}) for one in kept["cells"]]
        return cls(**kept)


def middle(rounds: Rounds, value: Callable[[Measurement], float | None]) -> float | None:
    """The median over the rounds in which there is a value."""
    values = [known for one in rounds.values() if (known := value(one)) is not None]
    return median(values) if values else None


def ratios(rounds: Rounds, others: Rounds, value: Callable[[Measurement], float]) -> list[float]:
    """To what the others had in the same round, sorted."""
    return sorted(value(one) / value(others[number]) for number, one in rounds.items() if number in others)


def today() -> str:
    return str(datetime.datetime.now(datetime.UTC).date())


def machine() -> str:
    processor = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = processor[1] if processor else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, Linux {platform.release()}"
