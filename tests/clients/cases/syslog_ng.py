"""syslog-ng's http() destination: a line a request, NDJSON batches, JSON arrays."""
from support import data
from support.events import check_arrived
from support.headgate import BASIC_AUTH, PASSWORD, USER, Headgate
from support.registry import Sandbox, add
from support.syslog_ng import SyslogNg

LINES = 1_000
BODY = 'body("$(format-json message=${MESSAGE} file.path=${FILE_NAME})")'
SINGLE = f'headers("Content-Type: application/json") {BODY}'
BATCH = "batch-lines(300) batch-timeout(200)"
NDJSON = f'headers("Content-Type: application/x-ndjson") {BODY} delimiter("\\n") {BATCH}'
ARRAY = (f'headers("Content-Type: application/json") {BODY} '
         f'body-prefix("[") delimiter(",\\n") body-suffix("]") {BATCH} workers(2)')
CREDENTIALS = f'user("{USER}") password("{PASSWORD}")'


def http_destination(sandbox: Sandbox, options: str, config: dict) -> None:
    """What stands in the file arrives, and syslog-ng's own counters say the same."""
    lines = data.access_log()[:LINES]
    source = sandbox.folder / "access.log"
    source.write_text("".join(line + "\n" for line in lines))
    with Headgate(sandbox, config=config) as headgate:
        with SyslogNg(sandbox, source, headgate.url("/syslog"), options) as syslog_ng:
            syslog_ng.finish(LINES)
        arrived = headgate.finish(LINES)
    # format-json writes a dotted name as an object and orders the names.
    check_arrived(arrived, [{"message": line, "file": {"path": str(source)}} for line in lines])


add(http_destination, SINGLE, {}, variant="single")
add(http_destination, NDJSON, {}, variant="ndjson_batch")
add(http_destination, ARRAY, {}, variant="json_array_batch")
add(http_destination, f"{NDJSON} {CREDENTIALS}", BASIC_AUTH, variant="basic_auth")
