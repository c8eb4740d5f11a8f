"""The tables of scripts/bench: medians and ratios over the rounds."""

from collections.abc import Callable
from statistics import median

from markdown import table
from measure import Measurement
from results import Cell, Results, Rounds, middle, ratios
from servers import FLOOR, NOTES

LEGEND = """\
Each figure is the median of the rounds; a ratio is taken within a round, with the range of all rounds in brackets. \
CPU: user and system time of the server's processes alone, in all their threads, delivery included, for each event \
answered with success. events/s: answered with success while the load ran; where the server answers before it delivers \
and took time to settle, delivery was slower than that. Settled: from the end of the load until the last event was \
delivered. Syncs: of the spool on disk, and how many events shared one. Refused: answers of 400 and above, all rounds \
together; the work on them is in the CPU of the others. Peak RSS: summed over processes, without the warm-up. \
Delivered: what the Broker stand-in counted, all rounds together; lost and doubled: the difference to what the server \
counted as accepted, or, for the proxies, to what wrk counted and at most one request a connection more, which wrk cut \
at its end. What does not agree is told as a fault. The load is a closed loop (see the method)."""


def figure(pattern: str, value: Callable[[Measurement], float | None]):
    def cell(rounds: Rounds, _floor: Rounds) -> str:
        known = middle(rounds, value)
        return "" if known is None else pattern.format(known)

    return cell


def ratio(value: Callable[[Measurement], float]):
    def cell(rounds: Rounds, floor: Rounds) -> str:
        found = ratios(rounds, floor, value)
        return f"{median(found):.2f} ({found[0]:.2f}–{found[-1]:.2f})" if found else ""

    return cell


def total(value: Callable[[Measurement], int | None]):
    """A sum: a median would hide the one round in which it happened."""

    def cell(rounds: Rounds, _floor: Rounds) -> str:
        values = [known for one in rounds.values() if (known := value(one)) is not None]
        return f"{sum(values):,}" if values else ""

    return cell


COLUMNS = (
    ("events/s", figure("{:,.0f}", lambda one: one.events_per_second)),
    ("× floor", ratio(lambda one: one.events_per_second)),
    ("CPU µs/event", figure("{:.3g}", lambda one: one.cpu_us_per_event)),
    ("CPU × floor", ratio(lambda one: one.cpu_us_per_event)),
    ("p50 ms", figure("{:.2f}", lambda one: one.p50_ms)),
    ("p99 ms", figure("{:.2f}", lambda one: one.p99_ms)),
    ("p99.9 ms", figure("{:.2f}", lambda one: one.p999_ms)),
    ("peak RSS MiB", figure("{:.1f}", lambda one: one.peak_rss_mib)),
    ("refused", total(lambda one: one.refused)),
    ("events/Broker request", figure("{:,.0f}", lambda one: one.events_per_broker_request)),
    ("syncs/s", figure("{:,.0f}", lambda one: one.syncs_per_second)),
    ("events/sync", figure("{:,.0f}", lambda one: one.events_per_sync)),
    ("settled s", figure("{:.1f}", lambda one: one.settle_seconds)),
    ("delivered", total(lambda one: one.delivered)),
    ("lost", total(lambda one: one.lost)),
    ("doubled", total(lambda one: one.doubled)),
)


def tables(results: Results) -> str:
    """One table for each cell, the mixed run, the disk alone, and the faults."""
    parts = [cell_table(results, cell) for cell in results.all_cells()]
    if results.mixed:
        parts.append(mixed_table(results))
    if results.disk:
        parts.append(disk_line(results))
    parts.append("\n".join(f"- FAULT, {fault}" for fault in results.faults()))
    return "\n\n".join(filter(None, parts))


def cell_table(results: Results, cell: Cell) -> str:
    by_server = results.of(cell)
    floor = by_server.get(FLOOR, {})
    rows = [["server", *(name for name, _ in COLUMNS)]]
    for server, rounds in by_server.items():
        rows.append([server, *(column(rounds, floor) for _, column in COLUMNS)])
    events, size = results.bodies[cell.body]
    return f"`{cell.body}`, {cell.connections:,} connections, a request: {events:,} × {size} bytes\n\n{table(rows)}"


def mixed_table(results: Results) -> str:
    """By server, body and speed of the Broker."""
    groups: dict[tuple, list] = {}
    for one in results.mixed:
        groups.setdefault((one.server, one.body, one.broker_ms), []).append(one)
    rows = [["server", "clients send", "Broker answers after", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "refused"]]
    for (server, body, broker_ms), ones in groups.items():
        figures = [f"{median(one.requests_per_second for one in ones):,.0f}"]
        for name in ("p50_ms", "p99_ms", "p999_ms"):
            figures.append(f"{median(getattr(one, name) for one in ones):.2f}")
        refused = sum(one.refused for one in ones)
        rows.append([server, body, f"{broker_ms} ms", *figures, f"{refused:,}"])
    return f"Mixed: three kinds of clients at once, with a quick Broker and a slow one\n\n{table(rows)}"


def disk_line(results: Results) -> str:
    p50, p99 = results.sync_us("p50_us"), results.sync_us("p99_us")
    return f"The disk alone, 512 bytes and fdatasync, once a round: p50 {p50:,.0f} µs, p99 {p99:,.0f} µs."


def measured(results: Results) -> str:
    """When, where and how."""
    place = ", ".join([results.machine, *results.versions])
    return f"Measured {results.date} on {place}, with `{results.command}`."


def section(results: Results, plot: str | None = None) -> str:
    """The Markdown that is kept."""
    servers = dict.fromkeys(one.server for one in results.cells)
    notes = "\n".join(f"- `{name}`: {NOTES[name]}." for name in servers if name in NOTES)
    picture = f"![CPU and latency by server and body]({plot})" if plot else ""
    return "\n\n".join(filter(None, [measured(results), picture, tables(results), notes, LEGEND]))
