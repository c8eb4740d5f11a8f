"""What is posted: one request body for each name, the same bytes in every run."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

EVENT_BYTES = 509

# Stands once in every event and nowhere else in what is sent, so that the Broker stand-in can count events
# without parsing (see headgate-bench-sink).
EVENT_MARK = "~"

JSON = "application/json"
NDJSON = "application/x-ndjson"

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

    @property
    def event_bytes(self) -> int:
        """Bytes of the body for each event."""
        return len(self.content) // self.events


def log_event(index: int, number: int | None = None) -> str:
    """A log event as a web application writes it, as compact JSON of exactly `EVENT_BYTES` bytes; with a number, this
    stands behind the mark."""
    chance = random.Random(index)
    marked = EVENT_MARK if number is None else f"{EVENT_MARK}{number}"
    event = {
        "@timestamp": f"2026-03-01T12:{index // 60 % 60:02}:{index % 60:02}.{chance.randrange(1000):03}Z",
        "level": chance.choice(("INFO", "INFO", "INFO", "WARN", "ERROR")),
        "Application": "web-shop",
        "Environment": "production",
        "Component": chance.choice(("checkout", "catalogue", "search")),
        "thread": f"http-nio-8080-exec-{chance.randrange(1, 64)}",
        "request": f"POST /{marked}/anna/orders/{chance.randrange(10**6)}",
        "status": chance.choice((200, 200, 201, 302, 404, 500)),
        "duration_ms": round(chance.uniform(0.2, 900), 3),
        "trace_id": f"{chance.getrandbits(128):032x}",
        "user_id": chance.randrange(10**7),
        "message": f'order "{chance.randrange(10**6)}": ',
    }
    filling = " ".join(chance.choices(WORDS, k=EVENT_BYTES // 2))
    event["message"] = f"{event['message']}{filling[: EVENT_BYTES - len(compact(event))]}"
    return compact(event)


def nasty_event(index: int) -> str:
    """What costs: escapes, Cyrillic, a stack trace, nesting, white space that is to be blanked."""
    chance = random.Random(index)
    frames = "".join(
        f"\n\tat com.example.Part{frame}.run(Part{frame}.java:{chance.randrange(900)})" for frame in range(4)
    )
    event = {
        "message": f'Заказ {chance.randrange(10**6)} принят: "оплата картой"',
        "request": f"POST /{EVENT_MARK}/анна",
        "error": {
            "type": "java.lang.IllegalStateException",
            "stack": f'java.lang.IllegalStateException: "closed"{frames}',
            "path": r"C:\Program Files\Example\example.exe",
        },
        "numbers": [1, -2.5e3, chance.random(), True, None, {"a": {"b": [[], {}]}}],
        "handled": False,
    }
    return json.dumps(event, ensure_ascii=False, indent=1)


def compact(event: dict) -> str:
    return json.dumps(event, separators=(",", ":"))


def array(events: list[str]) -> bytes:
    return f"[{','.join(events)}]".encode()


def single() -> Body:
    return Body(JSON, 1, log_event(0).encode())


def array_of(events: int, event: Callable[[int], str] = log_event) -> Body:
    return Body(JSON, events, array([event(index) for index in range(events)]))


def ndjson_of(events: int) -> Body:
    return Body(NDJSON, events, "".join(f"{log_event(index)}\n" for index in range(events)).encode())


BODIES: dict[str, Callable[[], Body]] = {
    "single": single,
    "array10": lambda: array_of(10),
    "array100": lambda: array_of(100),
    "array1000": lambda: array_of(1000),
    "nasty100": lambda: array_of(100, nasty_event),
    "ndjson100": lambda: ndjson_of(100),
}
