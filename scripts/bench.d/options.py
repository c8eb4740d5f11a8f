"""The command line of scripts/bench."""

import argparse
from pathlib import Path

import plan
from bodies import BODIES
from servers import SERVERS

ROOT = Path(__file__).resolve().parent.parent.parent

# Where --report puts what it found.
PAGE, FIGURES, PLOT = (ROOT / "docs" / name for name in ("PERFORMANCE.md", "performance.json", "performance.svg"))

MOST_SECONDS = 600


def names_of(known):
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return names

    return parse


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def several(text: str) -> list[int]:
    return [positive(part) for part in text.split(",")]


def seconds(text: str) -> float:
    number = float(text)
    if not 0.2 <= number <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"must be 0.2 to {MOST_SECONDS}")
    return number


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f"servers: {', '.join(SERVERS)}. bodies: {', '.join(BODIES)}.",
    )
    what = parser.add_argument_group("what is measured")
    what.add_argument("--rounds", type=positive, help="odd, so that there is a median; default 3, with --quick 1")
    what.add_argument("--seconds", type=seconds, help="of load for each measurement; default 5, with --quick 1")
    what.add_argument("--connections", type=several, metavar="N,…", help=f"default {plan.USUAL_CONNECTIONS}")
    what.add_argument("--only", type=names_of(SERVERS), metavar="SERVER,…", help=f"default {','.join(plan.SERVERS)}")
    what.add_argument(
        "--bodies", type=names_of(BODIES), metavar="BODY,…", help=f"default {','.join(plan.USUAL_BODIES)}"
    )
    what.add_argument("--mixed", action="store_true", help="also three kinds of clients at once beside a slow Broker")
    what.add_argument("--headgate", type=Path, metavar="PATH", help="a binary; default: built from this checkout")

    sets = parser.add_argument_group("sets").add_mutually_exclusive_group()
    sets.add_argument("--quick", action="store_true", help="a short look: figures that are not to be quoted")
    sets.add_argument("--report", action="store_true", help="everything, written to docs/; about half an hour")
    sets.add_argument("--check", action="store_true", help="no figures: whether each numbered event arrives once")
    sets.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="measure nothing: show this results file"
    )

    out = parser.add_argument_group("what is made of it")
    out.add_argument("--bars", action="store_true", help="tell whether the targets hold")
    out.add_argument("--json", type=Path, metavar="FILE", help="keep the results there")
    out.add_argument("--markdown", type=Path, metavar="FILE", help="keep the tables there, in place of the last")
    given = parser.parse_args()
    if given.report and (given.only or given.bodies or given.connections):
        parser.error("--report has its own set of servers, bodies and connections")
    if given.report:
        given.json, given.markdown, given.mixed, given.bars = FIGURES, PAGE, True, True
    given.rounds = given.rounds or (1 if given.quick else 3)
    given.seconds = given.seconds or (1.0 if given.quick else 5.0)
    return given


def steps(given: argparse.Namespace) -> list[plan.Step]:
    if given.report:
        return plan.full()
    if given.quick and not (given.only or given.bodies or given.connections):
        return plan.quick()
    return plan.chosen(given.only, given.bodies, given.connections)


def command_line(given: argparse.Namespace) -> str:
    """The command that repeats the run, without what belongs to this machine alone."""
    words = ["scripts/bench"]
    words += [f"--{name}" for name in ("quick", "report") if getattr(given, name)]
    words += [f"--rounds {given.rounds}", f"--seconds {given.seconds:g}"]
    for name in ("connections", "only", "bodies"):
        if values := getattr(given, name):
            words.append(f"--{name} {','.join(map(str, values))}")
    if given.mixed and not given.report:
        words.append("--mixed")
    return " ".join(words)
