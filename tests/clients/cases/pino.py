"""pino with pino-http-send: as a stream in the application, and as the command that it is piped into."""
import json

from support.events import APPLICATION_ADDS, LOGSTASH_ADDS, check_arrived, parse_lines
from support.headgate import BASIC_AUTH, PASSWORD, USER, Headgate
from support.programs import CLIENTS, NODE_MODULES, find_node, run
from support.registry import Sandbox, add, check_equal

ENTRIES = 500
# The last, fuller or emptier, batch goes after this many milliseconds.
OPTIONS = {"batchSize": 40, "timeout": 200, "retries": 0, "silent": False}
LINES = OPTIONS | {"bodyType": "ndjson"}
LABELLED_LINES = LINES | {"headers": {"content-type": "application/x-ndjson"}}
CREDENTIALS = {"username": USER, "password": PASSWORD}
PROGRAM = CLIENTS / "programs" / "log_with_pino.js"


def stream(sandbox: Sandbox, path: str, options: dict, added: tuple[str, ...], config: dict) -> None:
    """The documented use as a destination of pino."""
    witness = sandbox.folder / "witness.ndjson"
    node, environment = find_node("pino-http-send")
    with Headgate(sandbox, config=config) as headgate:
        settings = {"count": ENTRIES, "witness": str(witness), "send": options | {"url": headgate.url(path)}}
        said = run([node, PROGRAM, json.dumps(settings)], env=environment)
        arrived = headgate.finish(ENTRIES + 1)
    check_equal("standard output", said, b"")
    check_arrived(arrived, parse_lines(witness.read_bytes()), added)


def command(sandbox: Sandbox, options: dict, config: dict) -> None:
    """The documented use on the command line: `node app | pino-http-send`."""
    witness, settings_file = sandbox.folder / "witness.ndjson", sandbox.folder / "pino-http-send.json"
    node, environment = find_node("pino-http-send")
    logged = run([node, PROGRAM, json.dumps({"count": ENTRIES, "witness": str(witness)})], env=environment)
    with Headgate(sandbox, config=config) as headgate:
        settings_file.write_text(json.dumps(options))
        sender = [node, NODE_MODULES / ".bin" / "pino-http-send", "--config", settings_file]
        said = run([*sender, "--url", headgate.url("/v1/events")], stdin=logged, env=environment)
        arrived = headgate.finish(ENTRIES + 1)
    check_equal("standard output", said, b"")
    check_equal("standard output of pino", logged, witness.read_bytes())
    check_arrived(arrived, parse_lines(logged), APPLICATION_ADDS)


# Its JSON body, {"logs": […]}, is unwrapped by the application API; its NDJSON bears no content type
# of its own, so on a Logstash path the application has to set one.
add(stream, "/v1/events", OPTIONS, APPLICATION_ADDS, {}, variant="json")
add(stream, "/v1/events", LINES, APPLICATION_ADDS, {}, variant="ndjson")
add(stream, "/pino", LABELLED_LINES, LOGSTASH_ADDS, {}, variant="ndjson_on_a_logstash_path")
add(stream, "/pino", LABELLED_LINES | CREDENTIALS, LOGSTASH_ADDS, BASIC_AUTH, variant="basic_auth")
add(command, OPTIONS, {}, variant="json")
add(command, LINES, {}, variant="ndjson")
