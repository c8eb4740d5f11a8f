"""How cost grows: with connections, with what waits in the spool, with Brokers, with clients that send more than fits
into memory; and what memory full load takes.

Each step is one row; what a step found is kept as soon as it is there.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import load
from bodies import BODIES
from headgate import Headgate, counter
from measure import measure, settle
from memory import Memory
from processes import free_port
from server import Counts, Programs, Server
from servers import SERVERS
from standin import Sink

Row = dict[str, float | int | str | None]

CONNECTIONS = (1, 64, 1_000, 10_000)
CONNECTED_SERVERS = ("floor", "headgate-memory", "headgate-disk")
BROKERS = (1, 2, 4, 8)
# With a thousand, twice the byte budget is sent at once.
CROWDS = (64, 256, 1_000, 3_000)
DURABILITIES = ("memory", "broker", "disk")

FILL_SECONDS = 1_800
START_SECONDS = 600
DELIVERY_SECONDS = 60
FILL_PIECE_SECONDS = 2.0
POLL_SECONDS = 0.1

# By then the allocator has given back what nobody uses.
GIVEN_BACK_SECONDS = 3.0

# What is filled in beyond the backlog, and a segment or two.
ROOM_BYTES = 16 * 2**30


@dataclass(frozen=True)
class Options:
    """What holds for all steps."""

    programs: Programs
    seconds: float
    backlog_bytes: int
    connections: tuple[int, ...] = CONNECTIONS


@dataclass(frozen=True)
class Step:
    """One row of one table; `folder` is its own."""

    table: str
    name: str
    run: Callable[[Path], Row]


class Sinks:
    """Several stand-ins as one."""

    def __init__(self, folder: Path, programs: Programs, number: int):
        self.all = [Sink(folder / f"sink-{index}", programs) for index in range(number)]

    def __enter__(self):
        self.started: list[Sink] = []
        try:
            for sink in self.all:
                sink.start()
                self.started.append(sink)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for sink in self.started:
            sink.process.stop()

    def ports(self) -> list[int]:
        return [sink.port for sink in self.all]

    def counts(self) -> Counts:
        all_counts = [sink.counts() for sink in self.all]
        return Counts(*(sum(getattr(one, name) for one in all_counts) for name in vars(all_counts[0])))


def steps(options: Options) -> Iterator[Step]:
    """All of them, in order."""
    for number in options.connections:
        for server in CONNECTED_SERVERS:
            yield Step(
                "connections",
                f"{server}, {number:,}",
                lambda folder, s=server, n=number: connected(options, s, n, folder),
            )
    for number in BROKERS:
        yield Step("brokers", str(number), lambda folder, n=number: brokers(options, n, folder))
    for number in CROWDS:
        yield Step("overload", f"{number:,}", lambda folder, n=number: overload(options, n, folder))
    for durability in DURABILITIES:
        yield Step("memory", durability, lambda folder, d=durability: memory(options, d, folder))
    # At the end: the disk is busy for a while with the removal of a large one, and syncs wait.
    for size in (0, options.backlog_bytes):
        yield Step("backlog", f"{size / 2**30:.1f} GiB", lambda folder, size=size: backlog(options, size, folder))


def cost(server: Server, sink, body: str, connections: int, seconds: float) -> Row:
    one = measure(server, sink, BODIES[body](), connections, seconds)
    return {
        "events/s": one.events_per_second,
        "CPU µs/event": one.cpu_us_per_event,
        "p50 ms": one.p50_ms,
        "p99 ms": one.p99_ms,
        "peak RSS MiB": one.peak_rss_mib,
        "refused": one.refused,
        "faults": "; ".join(one.faults),
    }


def connected(options: Options, name: str, connections: int, folder: Path) -> Row:
    """The cost of a single event when so many clients send at once."""
    with (
        Sink(folder / "sink", options.programs) as sink,
        SERVERS[name](folder / "server", options.programs, sink.port) as server,
    ):
        return cost(server, sink, "single", connections, options.seconds)


def brokers(options: Options, number: int, folder: Path) -> Row:
    """The cost of arrays when delivery is spread over so many Brokers."""
    with (
        Sinks(folder, options.programs, number) as sinks,
        Headgate(folder / "server", options.programs, sinks.ports(), "disk") as server,
    ):
        return cost(server, sinks, "array100", 64, options.seconds)


def overload(options: Options, clients: int, folder: Path) -> Row:
    """What is taken when so many clients send half a megabyte each, again and again."""
    with (
        Sink(folder / "sink", options.programs) as sink,
        Headgate(folder / "server", options.programs, sink.port, "disk") as server,
    ):
        return cost(server, sink, "array1000", clients, options.seconds)


def memory(options: Options, durability: str, folder: Path) -> Row:
    """Memory under full load with large requests from many clients: beyond the byte budget, what waits in the spool's
    queue or tail is in it. Watched until the load ends: the whole budget is free at once then, and the allocator needs a
    moment to give back what was in it."""
    with (
        Sink(folder / "sink", options.programs) as sink,
        Headgate(folder / "server", options.programs, sink.port, durability) as server,
    ):
        watch = Memory(server.process, server.admin_port)
        wrk = load.Wrk(server, BODIES["array1000"](), 1_000, options.seconds)
        time.sleep(max(0.0, wrk.ends_at - time.monotonic()))
        watch.end()
        seen = wrk.result()
        settle(server, sink)
        time.sleep(GIVEN_BACK_SECONDS)
        return {
            "requests/s": seen.requests / seen.duration_us * 1e6,
            "refused": seen.refused,
            "idle MiB": watch.idle,
            "peak RSS MiB": watch.peak_rss,
            "budget in use MiB": watch.peak_in_use,
            "RSS beyond the budget MiB": watch.peak,
            "RSS afterwards MiB": server.process.rss_mib(),
        }


def backlog(options: Options, size: int, folder: Path) -> Row:
    """A spool with so many bytes for a Broker that is down: the start after kill -9, what an event costs then, and what
    delivery costs once the Broker is there."""
    broker_port = free_port()
    limits = f'max_bytes = "{size + ROOM_BYTES}B"'
    server = Headgate(
        folder / "server", options.programs, broker_port, "disk", spool=limits, broker='retry_max = "200ms"'
    )
    server.health_path = "/health"
    server.start()
    try:
        fill(server, size)
        waiting = spooled(server)
        start_seconds = start_after_kill(server)
        row: Row = {
            "events that wait": waiting,
            "healthy after s": start_seconds,
            "RSS then MiB": server.process.rss_mib(),
        }
        row |= accept(server, options.seconds)
        row |= deliver(server, options, folder, broker_port)
        return row
    finally:
        server.process.stop()


def spooled(server: Headgate, name: str = "headgate_spool_events") -> int:
    return counter(server.metrics(), name)


def fill(server: Headgate, size: int) -> None:
    ends_at = time.monotonic() + FILL_SECONDS
    while spooled(server, "headgate_spool_bytes") < size and time.monotonic() < ends_at:
        load.run(server, BODIES["array1000"](), 8, FILL_PIECE_SECONDS)


def start_after_kill(server: Headgate) -> float:
    server.process.kill()
    begun = time.monotonic()
    server.process = type(server.process)(server.command(), server.folder / "log")
    server.process.await_answer(server.port, server.health_path, seconds=START_SECONDS)
    return time.monotonic() - begun


def accept(server: Headgate, seconds: float) -> Row:
    """What taking single events costs while nothing is delivered."""
    load.run(server, BODIES["single"](), 64, min(1.0, seconds))
    cpu_before = server.process.cpu_seconds()
    seen = load.run(server, BODIES["single"](), 64, seconds)
    events = max(1, seen.requests - seen.refused)
    return {
        "taken/s": events / seen.duration_us * 1e6,
        "CPU µs/event taken": (server.process.cpu_seconds() - cpu_before) * 1e6 / events,
        "p99 ms": seen.p99_us / 1000,
        "refused": seen.refused,
    }


def deliver(server: Headgate, options: Options, folder: Path, broker_port: int) -> Row:
    """What delivery alone costs, until all is gone or the time is over."""
    with Sink(folder / "sink", options.programs, broker_port) as sink:
        while not sink.counts().events:
            server.process.check_alive()
            time.sleep(POLL_SECONDS)
        begun, cpu_before, delivered_before = time.monotonic(), server.process.cpu_seconds(), sink.counts().events
        ends_at = begun + DELIVERY_SECONDS
        while spooled(server) and time.monotonic() < ends_at:
            time.sleep(POLL_SECONDS)
        events = max(1, sink.counts().events - delivered_before)
        return {
            "delivered/s": events / (time.monotonic() - begun),
            "CPU µs/event delivered": (server.process.cpu_seconds() - cpu_before) * 1e6 / events,
            "left": spooled(server),
        }
