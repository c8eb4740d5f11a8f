"""The targets that Headgate is held to, and whether a run met them. Told, never enforced: a clock decides no test."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from markdown import table
from results import Cell, Results, Rounds, middle, ratios
from servers import FLOOR

CONNECTIONS = 64
SUBJECTS = ("headgate-memory", "headgate-disk")

MOST_SINGLE, MOST_ARRAY, MOST_NASTY = 1.7, 4.5, 5.0
SYNCS_OF_P99, FLOORS_OF_P99 = 6, 3


@dataclass(frozen=True)
class Bar:
    """One target: what was measured, and the most that it may be; None where the run lacks what it needs."""

    name: str
    server: str
    measured: float | None
    most: float | None

    def verdict(self) -> str:
        if self.measured is None or self.most is None:
            return "not measured"
        return "holds" if self.measured <= self.most else "MISSED"


def cpu_ratio(rounds: Rounds, floor: Rounds) -> float | None:
    found = ratios(rounds, floor, lambda one: one.cpu_us_per_event)
    return median(found) if found else None


def p99(rounds: Rounds) -> float | None:
    return middle(rounds, lambda one: one.p99_ms)


def times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def bars(results: Results) -> list[Bar]:
    found = []
    sync_us = results.sync_us("p99_us")
    for server in SUBJECTS:

        def of(body: str, name: str = server) -> Rounds:
            return results.of(Cell(body, CONNECTIONS)).get(name, {})

        def cpu(body: str, name: str = server, of: Callable = of) -> float | None:
            return cpu_ratio(of(body, name), of(body, FLOOR))

        floor_p99 = p99(of("single", FLOOR))
        most_p99 = floor_p99 + SYNCS_OF_P99 * sync_us / 1000 if floor_p99 and sync_us else None
        found += [
            Bar("single: CPU × floor", server, cpu("single"), MOST_SINGLE),
            Bar("single: CPU × floor, at most nginx's", server, cpu("single"), cpu("single", "nginx")),
            Bar("array100: CPU × floor", server, cpu("array100"), MOST_ARRAY),
            Bar("nasty100: CPU × floor", server, cpu("nasty100"), MOST_NASTY),
            Bar(f"single: p99 ms, at most the floor's and {SYNCS_OF_P99} syncs", server, p99(of("single")), most_p99),
            Bar(
                f"array100: p99 ms, at most {FLOORS_OF_P99} × the floor's",
                server,
                p99(of("array100")),
                times(FLOORS_OF_P99, p99(of("array100", FLOOR))),
            ),
        ]
    return found


def shown(results: Results) -> str:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.2f}"

    rows = [["target", "server", "measured", "most", "verdict"]]
    rows += [[bar.name, bar.server, number(bar.measured), number(bar.most), bar.verdict()] for bar in bars(results)]
    return f"Targets, at {CONNECTIONS} connections, medians of the rounds\n\n{table(rows)}"
