"""winston's Http transport, an entry a request and in batches."""
import json

from support.events import check_arrived, parse_lines
from support.headgate import BASIC_AUTH, PASSWORD, USER, Headgate
from support.programs import CLIENTS, find_node, run
from support.registry import Sandbox, add, check_equal

# Not a multiple of the batch count, so that the last batch goes by its interval.
ENTRIES = 203
CREDENTIALS = {"auth": {"username": USER, "password": PASSWORD}}
BATCHES = {"batch": True, "batchCount": 50, "batchInterval": 200}


def http_transport(sandbox: Sandbox, options: dict, config: dict) -> None:
    """What the Http transport ships is what the File transport wrote beside."""
    witness = sandbox.folder / "witness.ndjson"
    node, environment = find_node("winston")
    with Headgate(sandbox, config=config) as headgate:
        settings = {"port": headgate.port, "count": ENTRIES, "witness": str(witness), "http": options}
        said = run([node, CLIENTS / "programs" / "log_with_winston.js", json.dumps(settings)], env=environment)
        arrived = headgate.finish(ENTRIES)
    check_equal("standard output", said, b"")
    check_arrived(arrived, parse_lines(witness.read_bytes()))


add(http_transport, {}, {}, variant="single")
add(http_transport, CREDENTIALS, BASIC_AUTH, variant="single_with_basic_auth")
add(http_transport, BATCHES, {}, variant="batch")
