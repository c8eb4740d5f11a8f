"""Three kinds of clients at once, beside a quick Broker and then a slow one: what the clients feel of it."""

from collections.abc import Iterator

from bodies import BODIES
from load import Load, Wrk
from measure import settle
from results import Mixed
from server import Server
from standin import Sink

# Connections by body: most clients send single events, a few shippers send batches.
CLIENTS = {"single": 48, "array100": 8, "ndjson100": 8}

DELAYS_MS = (0, 200)

# With `disk` the backlog of a slow Broker goes to the disk; nginx shows what a proxy's clients feel.
SERVERS = ("nginx", "headgate-disk")

# So much a closed loop piles up in the spool before the quick Broker of the end takes it.
SPOOL = 'max_bytes = "64GiB"'


def measure(name: str, number: int, server: Server, sink: Sink, delay_ms: int, seconds: float) -> Iterator[Mixed]:
    """A fresh server; the result for each kind of clients."""
    before = sink.counts()
    sink.answer_after(delay_ms)
    try:
        clients = {body: Wrk(server, BODIES[body](), connections, seconds) for body, connections in CLIENTS.items()}
        seen = {body: client.result() for body, client in clients.items()}
    finally:
        sink.answer_after(0)
    books, counts, _ = settle(server, sink)
    server.process.check_alive()
    arrived = counts.events - before.events
    faults = (
        (f"{books.accepted} events accepted, {arrived} at the Broker",) if books and books.accepted != arrived else ()
    )
    for body, load in seen.items():
        yield result(name, number, delay_ms, body, load, faults)


def result(server: str, number: int, delay_ms: int, body: str, load: Load, faults: tuple[str, ...]) -> Mixed:
    if load.socket_errors:
        faults = (*faults, f"{load.socket_errors} socket errors")
    return Mixed(
        server=server,
        round=number,
        broker_ms=delay_ms,
        body=body,
        requests_per_second=load.requests / load.duration_us * 1e6,
        p50_ms=load.p50_us / 1000,
        p99_ms=load.p99_us / 1000,
        p999_ms=load.p999_us / 1000,
        refused=load.refused,
        faults=faults,
    )
