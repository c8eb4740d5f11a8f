"""The picture of a run: grouped bars, on scales that show factors. The only module that needs matplotlib."""

from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from measure import Measurement  # noqa: E402
from plan import USUAL_CONNECTIONS  # noqa: E402
from results import Cell, Results, middle  # noqa: E402

# Grey is read on white and on black; the bars' colours are those of Okabe and Ito, which differ for every eye.
INK = "#808080"
COLOURS = (
    "#999999",
    "#56b4e9",
    "#0072b2",
    "#e69f00",
    "#cc79a7",
    "#d55e00",
    "#009e73",
    "#b8a800",
    "#7f5fa8",
    "#a05a2c",
    "#5a8f00",
)

STYLE = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "font.size": 9,
    # So that the same figures make the same file, and text stays text.
    "svg.hashsalt": "headgate",
    "svg.fonttype": "none",
}

Value = Callable[[Measurement], float | None]


def draw(results: Results, file: Path) -> None:
    """Two charts below each other: CPU for each event, and the latency of the slowest hundredth."""
    connections = usual_connections(results)
    bodies = [cell.body for cell in results.all_cells() if cell.connections == connections]
    servers = everywhere(results, [Cell(body, connections) for body in bodies])
    with plt.rc_context(STYLE):
        figure, (cpu, latency) = plt.subplots(2, 1, figsize=(10, 7.5), layout="constrained")
        bars(cpu, results, connections, bodies, servers, lambda one: one.cpu_us_per_event)
        cpu.set(title=f"CPU of the server, {connections} connections (less is better)", ylabel="µs for each event")
        bars(latency, results, connections, bodies, servers, lambda one: one.p99_ms)
        latency.set(title="Latency, 99 of 100 requests are answered within", ylabel="ms")
        cpu.legend(ncols=4, frameon=False, fontsize=8)
        figure.savefig(file, transparent=True, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=150)


def usual_connections(results: Results) -> int:
    known = [cell.connections for cell in results.all_cells()]
    return USUAL_CONNECTIONS if USUAL_CONNECTIONS in known else known[0]


def everywhere(results: Results, cells: list[Cell]) -> list[str]:
    """The servers that were measured with every body; the tables have the others too."""
    first, *others = (list(results.of(cell)) for cell in cells)
    return [server for server in first if all(server in other for other in others)]


def short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def bars(axes, results: Results, connections: int, bodies: list[str], servers: list[str], value: Value) -> None:
    """A group for each body, a bar for each server."""
    width = 0.84 / len(servers)
    for place, body in enumerate(bodies):
        by_server = results.of(Cell(body, connections))
        for index, server in enumerate(servers):
            known = middle(by_server.get(server, {}), value)
            if known is None:
                continue
            at = place + (index - (len(servers) - 1) / 2) * width
            # One label for each server, from the first body.
            label = server if place == 0 else None
            axes.bar(at, known, width * 0.9, color=COLOURS[index % len(COLOURS)], label=label)
            axes.annotate(short(known), (at, known), ha="center", va="bottom", fontsize=6, color=INK)
    axes.set_yscale("log")
    axes.margins(y=0.18)
    axes.set_xticks(range(len(bodies)), bodies)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
