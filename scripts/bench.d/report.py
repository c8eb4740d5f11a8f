"""Medians and ratios over the rounds, and the table, which is Markdown and reads well in a terminal too."""

import datetime
import os
import platform
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bodies import BODIES, EVENT_BYTES
from measure import Measurement
from servers import FLOOR, NGINX_WORKERS

# The measurements of one server under one body, a round each; a round without the server is left out.
Rounds = dict[int, Measurement]

BEGIN = "<!-- scripts/bench: begin -->"
END = "<!-- scripts/bench: end -->"

LEGEND = f"""\
Each figure is the median of the rounds; a ratio is taken within a round, with the range of all rounds in brackets. \
CPU: user and system time of the server's processes alone, delivery included, for each event answered with success. \
events/s: answered with success while the load ran; where the server answers before it delivers and took time to \
settle, delivery was slower than that. Settled: from the end of the load until the last event was delivered. \
Syncs: of the spool on disk, and how many events shared one. Refused: answers of 400 and above, all rounds together; the work on them is in the CPU of the others. \
Peak RSS: summed over processes, warm-up included. Accepted = delivered: by Headgate's own counters, all rounds \
together, and equal to what the Broker stand-in counted; wrk's count may be lower by the requests that it cut at its \
end, at most one a connection. What does not agree is told as a fault. \
nginx: `proxy_pass` with upstream keep-alive, {NGINX_WORKERS} workers, bodies and answers in memory."""


def figure(pattern: str, value: Callable[[Measurement], float | None]):
    def cell(rounds: Rounds, _floor: Rounds) -> str:
        values = [known for one in rounds.values() if (known := value(one)) is not None]
        return pattern.format(median(values)) if values else ""

    return cell


def ratio(value: Callable[[Measurement], float]):
    def cell(rounds: Rounds, floor: Rounds) -> str:
        ratios = [value(one) / value(floor[number]) for number, one in rounds.items() if number in floor]
        return f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})" if ratios else ""

    return cell


COLUMNS = (
    ("events/s", figure("{:,.0f}", lambda one: one.events_per_second)),
    ("× floor", ratio(lambda one: one.events_per_second)),
    ("CPU µs/event", figure("{:.3g}", lambda one: one.cpu_us_per_event)),
    ("CPU × floor", ratio(lambda one: one.cpu_us_per_event)),
    ("p50 ms", figure("{:.2f}", lambda one: one.p50_ms)),
    ("p99 ms", figure("{:.2f}", lambda one: one.p99_ms)),
    ("peak RSS MiB", figure("{:.1f}", lambda one: one.peak_rss_mib)),
    # A sum: a median would hide the one round in which a queue was full.
    ("refused", lambda rounds, _: f"{sum(one.refused for one in rounds.values()):,}"),
    ("events/Broker request", figure("{:,.0f}", lambda one: one.events_per_broker_request)),
    ("syncs/s", figure("{:,.0f}", lambda one: one.syncs_per_second)),
    ("events/sync", figure("{:,.0f}", lambda one: one.events_per_sync)),
    ("settled s", figure("{:.1f}", lambda one: one.settle_seconds if one.books else None)),
    ("accepted = delivered", lambda rounds, _: books_cell(rounds)),
)


def books_cell(rounds: Rounds) -> str:
    books = [one.books for one in rounds.values() if one.books]
    if not books:
        return ""
    accepted, delivered = sum(one.accepted for one in books), sum(one.delivered for one in books)
    return f"{accepted:,}" if accepted == delivered else f"NO: {accepted:,} / {delivered:,}"


def tables(results: dict[str, dict[str, Rounds]]) -> str:
    """`results`: by body, by server. One table for each body, and the faults."""
    parts = []
    for body_name, by_server in results.items():
        body = BODIES[body_name]()
        floor = by_server.get(FLOOR, {})
        rows = [["server", *(name for name, _ in COLUMNS)]]
        for server, rounds in by_server.items():
            rows.append([server, *(cell(rounds, floor) for _, cell in COLUMNS)])
        parts.append(f"`{body_name}`, a request: {body.events:,} × {EVENT_BYTES} bytes\n\n{table(rows)}")
    parts.append(fault_list(results))
    return "\n\n".join(filter(None, parts))


def table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    header, *lines = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    rule = ["-" * (width - 1) + ":" for width in widths]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *lines])


def fault_list(results: dict[str, dict[str, Rounds]]) -> str:
    return "\n".join(
        f"- FAULT, {server}, {body}, round {number}: {fault}"
        for body, by_server in results.items()
        for server, rounds in by_server.items()
        for number, one in rounds.items()
        for fault in one.faults
    )


def machine() -> str:
    processor = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = processor[1] if processor else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, Linux {platform.release()}"


def versions(nginx: str) -> str:
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True).stderr
    return said.strip().removeprefix("nginx version: ")


def section(command: str, nginx: str, results: dict[str, dict[str, Rounds]]) -> str:
    """The Markdown section that is kept."""
    head = measured(command, versions(nginx))
    return f"{BEGIN}\n{head}\n\n{tables(results)}\n\n{LEGEND}\n{END}\n"


def measured(command: str, *others: str) -> str:
    """When, where and how."""
    today = datetime.datetime.now(datetime.UTC).date()
    return f"Measured {today} on {', '.join([machine(), *others])}, with `{command}`."


def keep(file: Path, text: str, begin: str = BEGIN, end: str = END) -> None:
    """Puts the section where the last one stood in the file, else at its end; what is around it stays."""
    old = file.read_text() if file.exists() else ""
    before, begun, rest = old.partition(begin)
    if not begun:
        file.write_text(f"{old.rstrip()}\n\n{text}".lstrip())
        return
    after = rest.partition(end)[2].removeprefix("\n")
    file.write_text(before + text + after)
