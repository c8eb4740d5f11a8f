"""python-logstash-async with its HTTP transport, as an application's logging handler."""
from support.events import check_arrived, parse_lines
from support.headgate import BASIC_AUTH, PASSWORD, USER, Headgate
from support.programs import CLIENTS, find_venv_python, run
from support.registry import Sandbox, add, check_equal

RECORDS = 1_000


def http_transport(sandbox: Sandbox, config: dict, *credentials: str) -> None:
    """What the handler ships is what its formatter wrote into a file beside."""
    witness = sandbox.folder / "witness.ndjson"
    python = find_venv_python()
    with Headgate(sandbox, config=config) as headgate:
        program = CLIENTS / "programs" / "log_with_logstash_async.py"
        said = run([python, program, headgate.port, RECORDS, witness, *credentials])
        arrived = headgate.finish(RECORDS + 1)
    check_equal("standard output", said, b"")
    check_arrived(arrived, parse_lines(witness.read_bytes()), added=("headers",))


add(http_transport, {}, variant="open")
add(http_transport, BASIC_AUTH, USER, PASSWORD, variant="basic_auth")
