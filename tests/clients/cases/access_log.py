"""A web server's access log of 10,000 lines, as single events and as batches."""
import http.client
import json

from support import data
from support.curl import NDJSON, post_file
from support.events import check_arrived, messages
from support.headgate import Headgate
from support.registry import Sandbox, check_equal, for_each_output
from support.waiting import PATIENCE

LINES_A_BATCH = 1_000


@for_each_output
def single_events_over_one_connection(sandbox: Sandbox, output: str) -> None:
    """Every line is a request of its own, all over the same keep-alive connection."""
    lines = data.access_log()
    with Headgate(sandbox, output) as headgate:
        connection = http.client.HTTPConnection("127.0.0.1", headgate.port, timeout=PATIENCE)
        connection.connect()
        # Without this a connection closed by the server would be replaced in silence.
        connection.auto_open = 0
        for line in lines:
            connection.request("POST", "/", line.encode(), {"Content-Type": "text/plain"})
            answer = connection.getresponse()
            check_equal("answer", (answer.status, answer.read()), (200, b"ok"))
        connection.close()
        arrived = headgate.finish(len(lines))
    check_arrived(arrived, messages(lines))


@for_each_output
def ndjson_batches(sandbox: Sandbox, output: str) -> None:
    """The lines are messages of JSON events, a thousand a request."""
    events = messages(data.access_log())
    batch = sandbox.folder / "batch.ndjson"
    with Headgate(sandbox, output) as headgate:
        for start in range(0, len(events), LINES_A_BATCH):
            batch.write_text("".join(json.dumps(event) + "\n" for event in events[start:start + LINES_A_BATCH]))
            post_file(headgate.url(), batch, *NDJSON)
        arrived = headgate.finish(len(events))
    check_arrived(arrived, events)
