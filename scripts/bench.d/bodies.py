"""What is posted: one request body for each name, the same bytes in every run."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

EVENT_BYTES = 500

# Stands once in every event and nowhere else in what is sent, so that the Broker stand-in can count events
# without parsing (see headgate-bench-sink).
EVENT_MARK = "~"

WORDS = (
    "order", "accepted", "payment", "captured", "for", "customer", "stock", "reserved", "in", "warehouse", "north",
    "after", "retry", "cache", "miss", "session", "renewed", "invoice", "queued", "carrier", "label", "printed",
)  # fmt: skip


@dataclass(frozen=True)
class Body:
    """A request body, its media type, and how many events it holds."""

    content_type: str
    events: int
    content: bytes


def log_event(index: int) -> str:
    """A log event as a web application writes it, as compact JSON of exactly `EVENT_BYTES` bytes."""
    chance = random.Random(index)
    event = {
        "@timestamp": f"2026-03-01T12:{index // 60 % 60:02}:{index % 60:02}.{chance.randrange(1000):03}Z",
        "level": chance.choice(("INFO", "INFO", "INFO", "WARN", "ERROR")),
        "Application": "web-shop",
        "Environment": "production",
        "Component": chance.choice(("checkout", "catalogue", "search")),
        "thread": f"http-nio-8080-exec-{chance.randrange(1, 64)}",
        "request": f"POST /{EVENT_MARK}anna/orders/{chance.randrange(10**6)}",
        "status": chance.choice((200, 200, 201, 302, 404, 500)),
        "duration_ms": round(chance.uniform(0.2, 900), 3),
        "trace_id": f"{chance.getrandbits(128):032x}",
        "user_id": chance.randrange(10**7),
        "message": f'order "{chance.randrange(10**6)}": ',
    }
    filling = " ".join(chance.choices(WORDS, k=EVENT_BYTES // 2))
    event["message"] = f"{event['message']}{filling[: EVENT_BYTES - len(compact(event))]}"
    return compact(event)


def compact(event: dict) -> str:
    return json.dumps(event, separators=(",", ":"))


def single() -> Body:
    return Body("application/json", 1, log_event(0).encode())


def array_of(events: int) -> Body:
    return Body("application/json", events, ("[" + ",".join(map(log_event, range(events))) + "]").encode())


BODIES: dict[str, Callable[[], Body]] = {
    "single": single,
    "array100": lambda: array_of(100),
}
