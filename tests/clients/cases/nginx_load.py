"""100,000 lines that nginx writes under load, shipped by curl and by syslog-ng."""
from support.curl import NDJSON, post_file
from support.events import check_arrived, messages, parse_lines
from support.headgate import Headgate
from support.nginx import write_access_logs
from support.registry import Sandbox, case, check_equal
from support.syslog_ng import SyslogNg

LINES = 100_000
LINES_A_BATCH = 2_000


@case
def json_log_by_curl(sandbox: Sandbox) -> None:
    """The JSON access log as it stands, in NDJSON batches, into the file output."""
    json_log, _ = write_access_logs(sandbox, LINES)
    lines = json_log.read_bytes().splitlines(keepends=True)
    batch = sandbox.folder / "batch.ndjson"
    with Headgate(sandbox) as headgate:
        for start in range(0, LINES, LINES_A_BATCH):
            batch.write_bytes(b"".join(lines[start:start + LINES_A_BATCH]))
            post_file(headgate.url("/nginx"), batch, *NDJSON)
        arrived = headgate.finish(LINES)
    check_equal("different request ids", len({event["request_id"] for event in arrived}), LINES)
    check_arrived(arrived, parse_lines(json_log.read_bytes()))


@case
def combined_log_by_syslog_ng(sandbox: Sandbox) -> None:
    """The combined access log, line by line, through syslog-ng to a Broker."""
    _, combined_log = write_access_logs(sandbox, LINES)
    options = ('headers("Content-Type: application/x-ndjson") body("$(format-json message=${MESSAGE})") '
               f'delimiter("\\n") batch-lines({LINES_A_BATCH}) batch-timeout(200) workers(2)')
    with Headgate(sandbox, "broker") as headgate:
        with SyslogNg(sandbox, combined_log, headgate.url("/nginx"), options) as syslog_ng:
            syslog_ng.finish(LINES)
        arrived = headgate.finish(LINES)
    check_arrived(arrived, messages(combined_log.read_text().splitlines()))
