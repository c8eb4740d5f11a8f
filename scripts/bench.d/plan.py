"""What a run measures: the choice of the command line, or one of the sets below."""

from dataclasses import dataclass

from results import Cell

BODIES = ("single", "array10", "array100", "array1000", "nasty100", "ndjson100")
SERVERS = ("floor", "nginx", "haproxy", "headgate-memory", "headgate-broker", "headgate-disk")
VARIANTS = ("headgate-key", "headgate-key-memory", "nginx-tls", "headgate-tls", "headgate-tls-memory")

# The bodies that are measured at every number of connections, and with every variant.
USUAL_BODIES = ("single", "array100")
USUAL_CONNECTIONS = 64
OTHER_CONNECTIONS = (1, 1000)

QUICK_SERVERS = ("floor", "nginx", "headgate-memory", "headgate-disk")


@dataclass(frozen=True)
class Step:
    """Servers that are measured side by side."""

    cell: Cell
    servers: tuple[str, ...]


def chosen(servers: list[str] | None, bodies: list[str] | None, connections: list[int] | None) -> list[Step]:
    """Every combination of what is given; what is not has a default."""
    return [
        Step(Cell(body, number), tuple(servers or SERVERS))
        for number in connections or [USUAL_CONNECTIONS]
        for body in bodies or USUAL_BODIES
    ]


def quick() -> list[Step]:
    return chosen(list(QUICK_SERVERS), list(USUAL_BODIES), [USUAL_CONNECTIONS])


def full() -> list[Step]:
    """What docs/PERFORMANCE.md shows."""
    steps = []
    for body in BODIES:
        servers = SERVERS + (VARIANTS if body in USUAL_BODIES else ())
        steps.append(Step(Cell(body, USUAL_CONNECTIONS), servers))
    steps += [Step(Cell(body, number), SERVERS) for number in OTHER_CONNECTIONS for body in USUAL_BODIES]
    return steps


def servers_of(steps: list[Step]) -> list[str]:
    return list(dict.fromkeys(server for step in steps for server in step.servers))
