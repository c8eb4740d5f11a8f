"""500 nested JSON documents in each shape that curl can send them; every digit is compared."""
import gzip

from support import data
from support.curl import JSON, NDJSON, post_file
from support.events import check_arrived, parse
from support.headgate import Headgate
from support.registry import Sandbox, for_each_output


@for_each_output
def ndjson(sandbox: Sandbox, output: str) -> None:
    """One document a line."""
    _ship(sandbox, output, _lines(data.documents()), *NDJSON)


@for_each_output
def json_array(sandbox: Sandbox, output: str) -> None:
    """All of them as one array."""
    _ship(sandbox, output, b"[" + b",\n".join(data.documents()) + b"]", *JSON)


@for_each_output
def gzipped(sandbox: Sandbox, output: str) -> None:
    """One document a line, compressed."""
    _ship(sandbox, output, gzip.compress(_lines(data.documents())), *NDJSON, "-H", "Content-Encoding: gzip")


def _lines(documents: list[bytes]) -> bytes:
    return b"".join(document + b"\n" for document in documents)


def _ship(sandbox: Sandbox, output: str, body: bytes, *arguments: str) -> None:
    sent = [parse(document) for document in data.documents()]
    file = sandbox.folder / "body"
    file.write_bytes(body)
    with Headgate(sandbox, output) as headgate:
        post_file(headgate.url(), file, *arguments)
        arrived = headgate.finish(len(sent))
    check_arrived(arrived, sent)
