"""curl, as a person calls it, with what a test needs to hear of a failure."""
import pathlib

from support.programs import find, run
from support.registry import check_equal

NDJSON = ("-H", "Content-Type: application/x-ndjson")
JSON = ("-H", "Content-Type: application/json")


def curl(*arguments: str | pathlib.Path, stdin: bytes | None = None) -> bytes:
    """Calls curl; a status other than 2xx is an error of curl's, and every error is on its standard error."""
    return run([find("curl"), "--silent", "--show-error", "--fail-with-body", "--max-time", "60", *arguments], stdin)


def post(url: str, *arguments: str | pathlib.Path, stdin: bytes | None = None, answers: int = 1) -> None:
    """Calls curl for `answers` requests, each of which must be answered by `ok`."""
    check_equal("answer", curl(*arguments, url, stdin=stdin), b"ok" * answers)


def post_file(url: str, file: pathlib.Path, *arguments: str) -> None:
    """Posts a file as it is, byte for byte."""
    post(url, "--data-binary", f"@{file}", *arguments)
