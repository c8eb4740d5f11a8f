"""The list of tests, and the two ways in which a test ends early."""
import dataclasses
import fnmatch
import pathlib
from collections.abc import Callable


class Failed(Exception):
    """The server or the client did something that it must not do."""


class Skipped(Exception):
    """A client program is not installed, so nothing can be said about it."""


@dataclasses.dataclass(frozen=True)
class Sandbox:
    """What a test gets: the program under test, and an empty folder that is removed afterwards."""

    binary: pathlib.Path
    folder: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Case:
    """One test: a function that takes a `Sandbox` and the arguments of its variant."""

    name: str
    function: Callable
    arguments: tuple

    def matches(self, patterns: list[str]) -> bool:
        """Whether one of the patterns (a shell pattern, or a part of the name) fits; none fits all."""
        return not patterns or any(fnmatch.fnmatchcase(self.name, f"*{pattern}*") for pattern in patterns)


CASES: list[Case] = []


def add(function: Callable, *arguments, variant: str = "") -> None:
    """Registers `function` as the test `module.function[.variant]`."""
    parts = [function.__module__.rsplit(".", 1)[-1], function.__name__, variant]
    name = ".".join(part for part in parts if part)
    if any(case.name == name for case in CASES):
        raise ValueError(f"two tests are called {name}")
    CASES.append(Case(name, function, arguments))


def case(function: Callable) -> Callable:
    """Decorator: a test without variants."""
    add(function)
    return function


def for_each_output(function: Callable) -> Callable:
    """Decorator: a test that is run with the file output and again with a Broker."""
    for output in ("file", "broker"):
        add(function, output, variant=output)
    return function


def check(condition: object, message: str) -> None:
    """Fails the test with `message` unless `condition` holds."""
    if not condition:
        raise Failed(message)


def check_equal(what: str, actual: object, expected: object) -> None:
    """Fails the test unless both are equal, and shows both."""
    check(actual == expected, f"{what}: expected {shorten(expected)}, got {shorten(actual)}")


def shorten(value: object, limit: int = 400) -> str:
    """A value as text that fits into one line of a report."""
    text = value if isinstance(value, str) else repr(value)
    text = text.replace("\n", "\\n")
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
