"""Whether each event arrives once: numbered events are sent, and the Broker stand-in tells which came, and how often.

What was answered with success must have come, once. What was refused, or broke off, may have come, once.
"""

import http.client
import itertools
import ssl
import threading
import time
from dataclasses import dataclass, field

from bodies import EVENT_MARK, JSON, array, log_event
from measure import settle
from server import Server
from standin import Sink

EVENTS_A_REQUEST = 100


@dataclass
class Sent:
    """The first numbers of requests by what became of them."""

    answered: set[int] = field(default_factory=set)
    unsure: set[int] = field(default_factory=set)


class Sender(threading.Thread):
    """Sends requests over one connection until the time is over; each takes the next numbers."""

    def __init__(self, server: Server, firsts, pieces: list[str], ends_at: float):
        super().__init__(daemon=True)
        self.server, self.firsts, self.pieces, self.ends_at = server, firsts, pieces, ends_at
        self.sent = Sent()

    def run(self) -> None:
        connection = self.connect()
        headers = {"Content-Type": JSON, **self.server.headers}
        while time.monotonic() < self.ends_at:
            first = next(self.firsts)
            try:
                connection.request("POST", "/", numbered(self.pieces, first), headers)
                answer = connection.getresponse()
                answer.read()
                is_good = answer.status == 200
            except (OSError, http.client.HTTPException):
                is_good = False
                connection.close()
            (self.sent.answered if is_good else self.sent.unsure).add(first)
        connection.close()

    def connect(self) -> http.client.HTTPConnection:
        if self.server.tls:
            context = ssl._create_unverified_context()
            return http.client.HTTPSConnection("127.0.0.1", self.server.port, timeout=60, context=context)
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)


def pieces_of_body() -> list[str]:
    """The text between the marks of an array of events."""
    return array([log_event(index) for index in range(EVENTS_A_REQUEST)]).decode().split(EVENT_MARK)


def numbered(pieces: list[str], first: int) -> bytes:
    """The array with a number behind each mark."""
    rest = (f"{EVENT_MARK}{first + index}{piece}" for index, piece in enumerate(pieces[1:]))
    return "".join([pieces[0], *rest]).encode()


def check(server: Server, sink: Sink, connections: int, seconds: float) -> tuple[int, list[str]]:
    """Sends for so long; how many events were answered with success, and what is wrong, in words."""
    # `next` on it is one step of the interpreter, so threads can share it.
    firsts = itertools.count(0, EVENTS_A_REQUEST)
    pieces, ends_at = pieces_of_body(), time.monotonic() + seconds
    senders = [Sender(server, firsts, pieces, ends_at) for _ in range(connections)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    settle(server, sink)
    server.process.check_alive()
    answered = set().union(*(sender.sent.answered for sender in senders))
    unsure = set().union(*(sender.sent.unsure for sender in senders))
    return len(answered) * EVENTS_A_REQUEST, list(faults(answered, unsure, *sink.numbers()))


def faults(answered: set[int], unsure: set[int], strange: int, runs: list[tuple[int, int, int]]):
    if not answered:
        yield "no request was answered with success"
    if strange:
        yield f"{strange} events without a number arrived"
    came: set[int] = set()
    doubled = 0
    for first, last, times in runs:
        if not times:
            continue
        came.update(range(first, last + 1))
        doubled += (last + 1 - first) * (times - 1)
    for first in answered:
        lost = sum(number not in came for number in range(first, first + EVENTS_A_REQUEST))
        if lost:
            yield f"request {first // EVENTS_A_REQUEST} was answered 200, and {lost} of its events are lost"
    sent = answered | unsure
    foreign = sum(number - number % EVENTS_A_REQUEST not in sent for number in came)
    if doubled:
        yield f"{doubled} events arrived again"
    if foreign:
        yield f"{foreign} events arrived that nobody sent"
