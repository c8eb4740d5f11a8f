"""All rounds of a run, in a temporary folder."""

import shutil
import sys
import tempfile
from pathlib import Path

import check
import disk
import mixed
from bodies import BODIES
from headgate import Headgate
from measure import measure
from plan import Step, servers_of
from processes import ServerFailed
from results import One, Results, SyncTimes
from server import Programs
from servers import FLOOR, SERVERS
from standin import Sink

# A measurement's start, warm-up, settling and end, for the estimate.
BESIDE_SECONDS = 2.5
DISK_SECONDS = 1.0


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def estimate_minutes(steps: list[Step], rounds: int, seconds: float) -> float:
    return rounds * sum(len(step.servers) for step in steps) * (seconds + BESIDE_SECONDS) / 60


def in_turn(names, number: int) -> list[str]:
    """Every other round backwards, so that being first or last favours nobody."""
    return list(names) if number % 2 else list(reversed(names))


class Run:
    """A run; what is found is in `results` as soon as it is."""

    def __init__(self, results: Results, programs: Programs, folder: Path):
        self.results, self.programs, self.folder = results, programs, folder
        self.servers_made = 0

    def rounds(self, steps: list[Step], with_mixed: bool, keep: Path | None) -> None:
        bodies = {step.cell.body: BODIES[step.cell.body]() for step in steps}
        self.results.bodies = {name: (body.events, body.event_bytes) for name, body in bodies.items()}
        with Sink(self.folder / "sink", self.programs) as sink:
            for number in range(1, self.results.rounds + 1):
                self.disk(number)
                for step in steps:
                    for name in in_turn(step.servers, number):
                        self.one(sink, step, name, number, bodies[step.cell.body])
                if with_mixed:
                    self.mixed(sink, number)
                if keep:
                    self.results.save(keep)

    def disk(self, number: int) -> None:
        times = disk.sync_times(self.folder, min(self.results.seconds, DISK_SECONDS))
        one = SyncTimes(number, disk.percentile(times, 50), disk.percentile(times, 99))
        self.results.disk.append(one)
        tell(f"round {number}, the disk alone: sync p50 {one.p50_us:,.0f} µs, p99 {one.p99_us:,.0f} µs")

    def one(self, sink: Sink, step: Step, name: str, number: int, body) -> None:
        cell = step.cell
        where = f"round {number}, {cell.body}, {cell.connections} connections, {name}"
        folder = self.new_folder()
        try:
            with SERVERS[name](folder, self.programs, sink.port) as server:
                figures = measure(server, sink, body, cell.connections, self.results.seconds)
        except ServerFailed as failure:
            self.fail(where, failure)
            return
        finally:
            shutil.rmtree(folder)
        self.results.cells.append(One(cell.body, cell.connections, name, number, figures))
        tell(
            f"{where}: {figures.events_per_second:,.0f} events/s, {figures.cpu_us_per_event:.3g} µs CPU/event, "
            f"{figures.refused:,} refused {'; '.join(figures.faults)}"
        )

    def mixed(self, sink: Sink, number: int) -> None:
        for name in in_turn(mixed.SERVERS, number):
            for delay_ms in mixed.DELAYS_MS:
                folder = self.new_folder()
                where = f"round {number}, mixed, Broker {delay_ms} ms, {name}"
                try:
                    with self.for_mixed(name, folder, sink.port) as server:
                        found = list(mixed.measure(name, number, server, sink, delay_ms, self.results.seconds))
                except ServerFailed as failure:
                    self.fail(where, failure)
                    continue
                finally:
                    shutil.rmtree(folder)
                self.results.mixed += found
                tell(f"{where}: " + ", ".join(f"{one.body} p99 {one.p99_ms:.1f} ms" for one in found))

    def for_mixed(self, name: str, folder: Path, broker_port: int):
        if name == "headgate-disk":
            return Headgate(folder, self.programs, broker_port, "disk", spool=mixed.SPOOL)
        return SERVERS[name](folder, self.programs, broker_port)

    def checks(self, steps: list[Step]) -> None:
        """Instead of rounds: each server that forwards, with a stand-in of its own."""
        connections = steps[0].cell.connections
        for name in servers_of(steps):
            if name == FLOOR:
                continue
            folder = self.new_folder()
            folder.mkdir()
            try:
                with (
                    Sink(folder / "sink", self.programs, check=True) as sink,
                    SERVERS[name](folder / "server", self.programs, sink.port) as server,
                ):
                    events, faults = check.check(server, sink, connections, self.results.seconds)
            except ServerFailed as failure:
                self.fail(name, failure)
                continue
            finally:
                shutil.rmtree(folder)
            self.results.failures += [f"{name}: {fault}" for fault in faults]
            print(f"{name}: {events:,} events answered, {'; '.join(faults) or 'each arrived once'}", flush=True)

    def new_folder(self) -> Path:
        self.servers_made += 1
        return self.folder / f"server-{self.servers_made}"

    def fail(self, where: str, failure: ServerFailed) -> None:
        """One server that cannot be measured must not cost the others their figures."""
        self.results.failures.append(f"{where}: {failure}")
        tell(f"{where}: {failure}")


def temporary_folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="headgate-bench-")
