"""Test data: real files from the folder that `HEADGATE_TEST_DATA` names, else comparable ones from a seeded generator.

The folder holds `apache_access.log` (a web server's access log, 10,000 lines) and `nginx_plus.ndjson`
(500 nested JSON documents, one a line).
"""
import os
import pathlib

from support import generator

VARIABLE = "HEADGATE_TEST_DATA"


def describe() -> str:
    """Says in one line where the data comes from."""
    folder = os.environ.get(VARIABLE)
    if folder:
        return f"data: files in {folder}"
    return f"data: generated ({VARIABLE} is not set)"


def access_log() -> list[str]:
    """10,000 lines of an access log, without their ends."""
    text = _read("apache_access.log")
    return text.decode().splitlines() if text is not None else generator.access_log(10_000)


def documents() -> list[bytes]:
    """500 nested JSON documents, each on one line."""
    text = _read("nginx_plus.ndjson")
    return text.splitlines() if text is not None else generator.documents(500)


def _read(name: str) -> bytes | None:
    folder = os.environ.get(VARIABLE)
    return (pathlib.Path(folder) / name).read_bytes() if folder else None
