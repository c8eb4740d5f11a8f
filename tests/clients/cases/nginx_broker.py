"""nginx as the Broker's front: it limits the rate, and is stopped, started and reloaded under load."""
from support.broker import Broker
from support.curl import NDJSON, post
from support.headgate import Headgate
from support.nginx_proxy import NginxProxy
from support.registry import Sandbox, add, check, check_equal
from support.waiting import wait_until

EVENTS = 6_000
EVENTS_A_REQUEST = 500
REQUESTS_A_SECOND = 50
"""With twenty events in a batch, 300 of them take six seconds at least."""


def limits_stops_and_reloads(sandbox: Sandbox, status: int) -> None:
    """Nothing is lost, given up or halved, whatever nginx answers or breaks."""
    with Broker() as broker, NginxProxy(sandbox.folder / "nginx", broker.url, status, REQUESTS_A_SECOND) as nginx:
        settings = {"urls": [nginx.url], "max_batch_events": 20, "linger": "0ms", "retry_max": "1s"}
        config = {"broker": settings, "ingest": {"durability": "disk"}}
        with Headgate(sandbox, config=config) as headgate:
            _send(headgate)
            _wait_until_delivered(headgate, EVENTS // 4)
            nginx.stop()
            nginx.start()
            _wait_until_delivered(headgate, EVENTS // 2)
            nginx.reload()
            _wait_until_delivered(headgate, EVENTS * 3 // 4)
            nginx.reload()
            headgate.wait_for(EVENTS)
            books = headgate.books()
        answers = nginx.answers()
    check(answers[status] > 10, f"the rate was hardly limited: {answers}")
    expected = {"received": EVENTS, "delivered": EVENTS, "dead_lettered": 0, "spooled": 0, "balanced": True}
    check_equal("books", {name: books[name] for name in expected}, expected)
    arrived = {int(event["n"]) for event in broker.events()}
    check_equal("different events", len(arrived), EVENTS)


def _send(headgate: Headgate) -> None:
    for first in range(0, EVENTS, EVENTS_A_REQUEST):
        lines = "".join(f'{{"n":{number}}}\n' for number in range(first, first + EVENTS_A_REQUEST))
        post(headgate.url(), "--data-binary", "@-", *NDJSON, stdin=lines.encode())


def _wait_until_delivered(headgate: Headgate, count: int) -> None:
    wait_until(f"{count} events to be delivered", lambda: headgate.books()["delivered"] >= count, headgate.books)


for _status in (429, 503):
    add(limits_stops_and_reloads, _status, variant=str(_status))
