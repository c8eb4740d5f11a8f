"""Node's own clients, `fetch` with bodies that are streamed and `http.Agent`, where a connection ends: at a drain, after
silence, in the middle of a body."""
import collections
import json
import subprocess

from support.headgate import Headgate
from support.programs import CLIENTS, find, run
from support.registry import Sandbox, add, check, check_equal
from support.waiting import PATIENCE

PROGRAM = CLIENTS / "programs" / "send_with_node.js"
SENDERS = 4


def command(headgate: Headgate, client: str, **settings) -> list[str]:
    """The program with these settings."""
    return [find("node"), str(PROGRAM), json.dumps({"url": headgate.url("/node"), "client": client, **settings})]


def drain(sandbox: Sandbox, client: str) -> None:
    """Whoever sends while the server drains reads an answer or finds nobody there, and what is answered has arrived once."""
    with Headgate(sandbox, config={"server": {"drain_delay": "500ms"}}) as headgate:
        sending = subprocess.Popen(command(headgate, client, senders=SENDERS), stdout=subprocess.PIPE)
        try:
            headgate.wait_for(100)
            arrived = headgate.drain()
            outcomes = json.loads(sending.communicate(timeout=PATIENCE)[0])
        finally:
            sending.kill()
    # A connection that the system had taken, and the server not yet when it closed, is reset.
    check_equal("outcomes", set(outcomes.values()) - {"ECONNRESET"}, {"200", "ECONNREFUSED"})
    answered = {number for number, outcome in outcomes.items() if outcome == "200"}
    times = collections.Counter(str(event["n"]) for event in arrived)
    check_equal("events that arrived", set(times), answered)
    check(max(times.values()) == 1, "an event arrived twice")


def silence(sandbox: Sandbox, client: str) -> None:
    """Told a shorter time than the server keeps silent connections, it sends nothing into one that is just being closed."""
    config = {"server": {"keep_alive_timeout": "2s"}, "ingest": {"response_headers": {"Keep-Alive": "timeout=1"}}}
    pauses = [0, 1990, 2000]
    with Headgate(sandbox, config=config) as headgate:
        requests = [{"pause": pause, "fill": 0} for pause in pauses]
        outcomes = json.loads(run(command(headgate, client, senders=SENDERS, requests=requests)))
        check_equal("outcomes", collections.Counter(outcomes.values()), {"200": SENDERS * len(pauses)})
        headgate.finish(SENDERS * len(pauses))


def refusal(sandbox: Sandbox, client: str) -> None:
    """In the middle of a body of 20 MB they read the refusal, and the next request is taken."""
    requests = [{"pause": 0, "fill": fill} for fill in (0, 20_000_000, 0)]
    with Headgate(sandbox, config={"ingest": {"max_content_length": "1MiB"}}) as headgate:
        outcomes = json.loads(run(command(headgate, client, senders=1, requests=requests)))
        check_equal("outcomes", outcomes, {"0": "200", "1": "413", "2": "200"})
        headgate.finish(2)


add(drain, "fetch", variant="fetch")
add(drain, "agent", variant="agent")
add(silence, "agent", variant="agent")
add(refusal, "fetch", variant="fetch")
add(refusal, "agent", variant="agent")
