"""One measurement: a fresh server, a short warm-up, the load, and then what it cost and what it did."""

import time
from dataclasses import dataclass

import load
from bodies import Body
from load import Load
from processes import ServerFailed
from server import Books, Counts, Server
from standin import Sink

WARM_UP_SECONDS = 1
SETTLE_SECONDS = 60
POLL_SECONDS = 0.1

# A server without books may have requests of its own queued that have not reached the stand-in yet.
STILL_POLLS = 5


@dataclass(frozen=True)
class Measurement:
    """One server under one body in one round."""

    events_per_second: float
    cpu_us_per_event: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    peak_rss_mib: float
    refused: int
    events_per_broker_request: float | None
    syncs_per_second: float | None
    events_per_sync: float | None
    settle_seconds: float | None
    accepted: int | None
    delivered: int | None
    lost: int | None
    doubled: int | None
    faults: tuple[str, ...]


def settle(server: Server, sink: Sink) -> tuple[Books | None, Counts, float]:
    """Waits until nothing moves any more: the books are settled (or the time is up) and the stand-in has counted
    the same twice, or several times where there are no books. Returns both, and the seconds until what was seen
    last."""
    started = time.monotonic()
    books, counts, moved_at, still = server.books(), sink.counts(), started, 0
    while True:
        time.sleep(POLL_SECONDS)
        now = time.monotonic()
        before, (books, counts) = (books, counts), (server.books(), sink.counts())
        if before != (books, counts):
            moved_at, still = now, 0
            continue
        still += 1
        is_settled = books.settled() if books else still >= STILL_POLLS
        if is_settled or now - started > SETTLE_SECONDS:
            return books, counts, moved_at - started


def measure(server: Server, sink: Sink, body: Body, connections: int, seconds: float) -> Measurement:
    load.run(server, body, connections, min(seconds, WARM_UP_SECONDS))
    books_before, counts_before, _ = settle(server, sink)
    server.process.forget_peak_rss()

    cpu_before = server.process.cpu_seconds()
    seen = load.run(server, body, connections, seconds)
    books_after, counts_after, settle_seconds = settle(server, sink)
    # Only now: what was accepted is paid for when it has been delivered.
    cpu = server.process.cpu_seconds() - cpu_before
    server.process.check_alive()

    events = (seen.requests - seen.refused) * body.events
    if not events:
        raise ServerFailed(
            f"no request was answered with success, {seen.refused} refused, {seen.socket_errors} socket errors"
        )
    books = difference(books_before, books_after) if books_after else None
    at_broker = difference(counts_before, counts_after)
    unsure = (connections + seen.refused) * body.events
    lost, doubled = losses(server, events, unsure, books, at_broker)
    return Measurement(
        events_per_second=events / seen.duration_us * 1e6,
        cpu_us_per_event=cpu * 1e6 / events,
        p50_ms=seen.p50_us / 1000,
        p99_ms=seen.p99_us / 1000,
        p999_ms=seen.p999_us / 1000,
        peak_rss_mib=server.process.peak_rss_mib(),
        refused=seen.refused,
        events_per_broker_request=at_broker.events / at_broker.requests if at_broker.requests else None,
        syncs_per_second=books.syncs / seen.duration_us * 1e6 if books and books.syncs else None,
        events_per_sync=books.accepted / books.syncs if books and books.syncs else None,
        settle_seconds=settle_seconds if books else None,
        accepted=books.accepted if books else None,
        delivered=at_broker.events if server.forwards else None,
        lost=lost,
        doubled=doubled,
        faults=tuple(faults(seen, events, unsure, books, lost, doubled)),
    )


def difference(before, after):
    return type(after)(*(getattr(after, name) - getattr(before, name) for name in vars(after)))


def losses(server: Server, events: int, unsure: int, books: Books | None, at_broker: Counts):
    """How many events were lost and doubled, by count; None where nothing is forwarded. With books it is exact. Else
    `events` were answered with success, and up to `unsure` more may have been taken."""
    if not server.forwards:
        return None, None
    least, most = (books.accepted, books.accepted) if books else (events, events + unsure)
    return max(0, least - at_broker.events), max(0, at_broker.events - most)


def faults(seen: Load, events: int, unsure: int, books: Books | None, lost: int | None, doubled: int | None):
    """What must not be: each in words. `events` were answered with success; up to `unsure` more lay in requests
    that wrk cut at its end, of which those that had arrived whole are accepted too, and in refused ones, for a 503
    does not promise that nothing was stored."""
    if seen.socket_errors:
        yield f"{seen.socket_errors} socket errors"
    if lost:
        yield f"{lost} events lost"
    if doubled:
        yield f"{doubled} events doubled"
    if books is None:
        return
    if not events <= books.accepted <= events + unsure:
        yield f"{books.accepted} events accepted, not {events} (and up to {unsure} cut or refused)"
    if books.delivered != books.accepted:
        yield f"{books.accepted} events accepted, but {books.delivered} delivered by the server's own books"
