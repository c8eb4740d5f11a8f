"""Events as sent and as arrived, compared value by value and digit by digit."""
import collections
import json
import re
from collections.abc import Iterable

from support.registry import check, check_equal, shorten

LOGSTASH_ADDS = ("host", "headers", "@timestamp", "@version")
"""What an event on a Logstash path gets where the client sent no such field."""
APPLICATION_ADDS = ("host", "@timestamp", "@version")
"""What an event on `/v1/events` gets: no `headers` there."""

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Number(str):
    """A JSON number as it was written: 1.50 and 1.5 are not the same, and no digit is lost.

    Its `repr` has no quotes, which is what tells it from the string of the same digits.
    """

    __slots__ = ()
    __repr__ = str.__str__


def parse(text: str | bytes):
    """Parses JSON strictly, numbers as they were written, members in their order."""
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_refuse_constant)


def parse_lines(text: bytes) -> list:
    """Parses NDJSON."""
    return [parse(line) for line in text.split(b"\n") if line]


def messages(texts: Iterable[str]) -> list[dict]:
    """The events that a plain text each becomes."""
    return [{"message": text} for text in texts]


def check_arrived(arrived: list[dict], sent: list[dict], added: tuple[str, ...] = LOGSTASH_ADDS) -> None:
    """Fails unless each event sent arrived once, with every field as sent, the `added` ones beside, and no more.

    `added` are the fields that Headgate has to add; their values are checked for what can be known of them.
    """
    check_equal("number of events", len(arrived), len(sent))
    check(sent, "the test sent nothing, so it shows nothing")
    # Equal texts mean equal values, equal digits and equal order of members.
    expected = collections.Counter(repr(event) for event in sent)
    actual = collections.Counter(repr(_without_added(event, added)) for event in arrived)
    missing, unknown = expected - actual, actual - expected
    if missing or unknown:
        check(
            False,
            f"{missing.total()} events missing or changed, {unknown.total()} doubled or unknown; "
            f"first missing: {shorten(next(iter(missing), 'none'))}; "
            f"first unknown: {shorten(next(iter(unknown), 'none'))}",
        )


def _without_added(event: dict, added: tuple[str, ...]) -> dict:
    lacking = [field for field in added if field not in event]
    check(not lacking, f"an event lacks {lacking}: {shorten(event)}")
    for field in added:
        _CHECKS[field](event[field])
    return {field: value for field, value in event.items() if field not in added}


def _check_headers(headers: object) -> None:
    check(isinstance(headers, dict), f"headers is no object: {shorten(headers)}")
    for name in ("request_method", "request_path", "http_version", "http_host"):
        check(headers.get(name), f"headers lacks {name}: {shorten(headers)}")
    check("authorization" not in headers, "a password reached an event in headers.authorization")


_CHECKS = {
    "host": lambda host: check_equal("host", host, "127.0.0.1"),
    "headers": _check_headers,
    "@timestamp": lambda time: check(TIMESTAMP.fullmatch(str(time)), f"@timestamp is {shorten(time)}"),
    "@version": lambda version: check_equal("@version", version, "1"),
}


def _refuse_constant(name: str):
    raise ValueError(f"{name} is no JSON")
