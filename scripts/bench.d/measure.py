"""One measurement: a fresh server, a short warm-up, the load, and then what it cost and what it did."""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bodies import Body
from servers import Books, Counts, Server, Sink

WARM_UP_SECONDS = 1
SETTLE_SECONDS = 60
POLL_SECONDS = 0.1

# One thread of wrk keeps far more than any of the servers busy, and leaves them the other cores.
WRK_THREADS = 1

LOAD_SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True)
class Load:
    """What wrk saw. It closes its connections when its time is over, so that up to one request for each
    connection has been sent, and may have been taken, without being counted."""

    requests: int
    duration_us: int
    p50_us: int
    p99_us: int
    refused: int
    socket_errors: int


@dataclass(frozen=True)
class Measurement:
    """One server under one body in one round."""

    events_per_second: float
    cpu_us_per_event: float
    p50_ms: float
    p99_ms: float
    peak_rss_mib: float
    refused: int
    events_per_broker_request: float | None
    syncs_per_second: float | None
    events_per_sync: float | None
    settle_seconds: float
    books: Books | None
    faults: tuple[str, ...]


def run_wrk(port: int, body_file: Path, body: Body, connections: int, seconds: int) -> Load:
    command = ["wrk", "--threads", str(WRK_THREADS), "--connections", str(connections)]
    command += ["--duration", f"{seconds}s", "--timeout", "30s", "--script", str(LOAD_SCRIPT)]
    command += [f"http://127.0.0.1:{port}/", "--", str(body_file), body.content_type]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Load(**json.loads(output.splitlines()[-1]))


def settle(server: Server, sink: Sink) -> tuple[Books | None, Counts, float]:
    """Waits until nothing moves any more: the books are settled (or the time is up) and the stand-in has counted
    the same twice. Returns both, and the seconds until what was seen last."""
    started = time.monotonic()
    books, counts, moved_at = server.books(), sink.counts(), started
    while True:
        time.sleep(POLL_SECONDS)
        now = time.monotonic()
        before, (books, counts) = (books, counts), (server.books(), sink.counts())
        if before != (books, counts):
            moved_at = now
        elif books is None or books.settled() or now - started > SETTLE_SECONDS:
            return books, counts, moved_at - started


def measure(server: Server, sink: Sink, body: Body, connections: int, seconds: int) -> Measurement:
    body_file = server.folder / "body"
    body_file.write_bytes(body.content)
    run_wrk(server.port, body_file, body, connections, WARM_UP_SECONDS)
    books_before, counts_before, _ = settle(server, sink)

    cpu_before = server.process.cpu_seconds()
    load = run_wrk(server.port, body_file, body, connections, seconds)
    books_after, counts_after, settle_seconds = settle(server, sink)
    # Only now: what was accepted is paid for when it has been delivered.
    cpu = server.process.cpu_seconds() - cpu_before
    server.process.check_alive()

    events = (load.requests - load.refused) * body.events
    books = difference(books_before, books_after) if books_after else None
    at_broker = difference(counts_before, counts_after)
    return Measurement(
        events_per_second=events / load.duration_us * 1e6,
        cpu_us_per_event=cpu * 1e6 / events if events else float("nan"),
        p50_ms=load.p50_us / 1000,
        p99_ms=load.p99_us / 1000,
        peak_rss_mib=server.process.peak_rss_mib(),
        refused=load.refused,
        events_per_broker_request=at_broker.events / at_broker.requests if at_broker.requests else None,
        syncs_per_second=books.syncs / load.duration_us * 1e6 if books and books.syncs else None,
        events_per_sync=books.accepted / books.syncs if books and books.syncs else None,
        settle_seconds=settle_seconds,
        books=books,
        faults=tuple(faults(server, load, events, (connections + load.refused) * body.events, books, at_broker)),
    )


def difference(before, after):
    return type(after)(*(getattr(after, name) - getattr(before, name) for name in vars(after)))


def faults(server: Server, load: Load, events: int, unsure: int, books: Books | None, at_broker: Counts):
    """What must not be: each in words. `events` were answered with success; up to `unsure` more lay in requests
    that wrk cut at its end, of which those that had arrived whole are accepted too, and in refused ones, for a 503
    does not promise that nothing was stored."""
    if load.socket_errors:
        yield f"{load.socket_errors} socket errors"
    if not events:
        yield "no request was answered with success"
    if server.forwards and not events <= at_broker.events <= events + unsure:
        yield f"{at_broker.events} events at the Broker, not {events} (and up to {unsure} cut or refused)"
    if books is None:
        return
    if not events <= books.accepted <= events + unsure:
        yield f"{books.accepted} events accepted, not {events} (and up to {unsure} cut or refused)"
    if books.delivered != books.accepted:
        yield f"{books.accepted} events accepted, but {books.delivered} delivered"
    if books.delivered != at_broker.events:
        yield f"{books.delivered} events delivered, but {at_broker.events} at the Broker"
