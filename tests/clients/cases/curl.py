"""curl in the forms that people type: its events arrive once, and it reads `ok`."""
import dataclasses
import gzip
import json

from support.curl import JSON, NDJSON, curl, post
from support.events import APPLICATION_ADDS, check_arrived, messages, parse, parse_lines
from support.headgate import BASIC_AUTH, PASSWORD, USER, Headgate
from support.registry import Sandbox, add, case, check, check_equal

EVENTS = 50
OBJECT = (
    r'{"message": "gate \"A\" \\ open\t\u00e9 é 😀 \ud83d\ude00", "level": "warn", "ok": true, "none": null,'
    r' "took": 12.50, "big": 12345678901234567890.125, "tiny": 1E-400,'
    r' "nested": {"b": [1, {"c": []}], "a": {}}, "url": "http:\/\/x\/?q=1&r=2"}'
).encode()
LINES = b"".join(b'{"n": %d, %s\n' % (number, OBJECT[1:]) for number in range(EVENTS))
ARRAY = b"[" + b", ".join(LINES.splitlines()) + b"]"
TEXT = 'Nov 23 00:20:47 gate-1 app[17]: größer & "quoted" = 100% + ü'.encode()
TEXT_LINES = b"first line\nsecond line\n"
# curl asks with Expect: 100-continue before it sends more than 1 MiB.
LARGE = b"".join(b'{"n": %d, "fill": "%s"}\n' % (number, b"x" * 100_000) for number in range(20))


@dataclasses.dataclass(frozen=True)
class Form:
    """One way to call curl. In `arguments`, `{file}` stands for a file that holds `body`."""

    name: str
    arguments: tuple[str, ...]
    events: list
    body: bytes = b""
    piped: bool = False
    method: str = "POST"
    http_version: str = "HTTP/1.1"
    path: str = "/"
    requests: int = 1


FROM_FILE, FROM_PIPE = ("--data-binary", "@{file}"), ("--data-binary", "@-")
CHUNKED = ("-H", "Transfer-Encoding: chunked")
ONE, MANY, PLAIN = [parse(OBJECT)], parse_lines(LINES), messages([TEXT.decode()])

FORMS = (
    Form("d", ("-d", TEXT.decode()), PLAIN),
    Form("d_object", ("-d", OBJECT.decode(), *JSON), ONE),
    Form("d_from_file_joins_lines", ("-d", "@{file}"), messages(["first linesecond line"]), TEXT_LINES),
    Form("data_raw", ("--data-raw", "@" + TEXT.decode()), messages(["@" + TEXT.decode()])),
    Form("data_urlencode", ("--data-urlencode", "log=a&b=ü"), messages(["log=a%26b%3D%C3%BC"])),
    Form("data_binary_text_file", FROM_FILE, messages([TEXT_LINES.decode()]), TEXT_LINES),
    Form("data_binary_ndjson_file", (*FROM_FILE, *NDJSON), MANY, LINES),
    Form("data_binary_json_array_file", (*FROM_FILE, *JSON), MANY, ARRAY),
    Form("data_binary_ndjson_file_as_json", (*FROM_FILE, *JSON), MANY, LINES),
    Form("data_binary_large_file", (*FROM_FILE, *NDJSON), parse_lines(LARGE), LARGE),
    Form("expect_100_continue", (*FROM_FILE, *NDJSON, "-H", "Expect: 100-continue"), MANY, LINES),
    Form("json", ("--json", OBJECT.decode()), ONE),
    Form("json_from_file", ("--json", "@{file}"), MANY, ARRAY),
    Form("json_from_pipe", ("--json", "@-"), MANY, ARRAY, piped=True),
    Form("gzip", (*FROM_FILE, *NDJSON, "-H", "Content-Encoding: gzip"), MANY, gzip.compress(LINES)),
    Form("chunked_from_pipe", (*FROM_PIPE, *NDJSON, *CHUNKED), MANY, LINES, piped=True),
    Form("chunked_large_from_pipe", (*FROM_PIPE, *NDJSON, *CHUNKED), parse_lines(LARGE), LARGE, piped=True),
    Form("upload_from_pipe", ("-T", "-", *NDJSON), MANY, LINES, piped=True, method="PUT"),
    Form("upload_file", ("-T", "{file}", *NDJSON), MANY, LINES, method="PUT", path="/app.log"),
    Form("upload_as_post", ("-X", "POST", "-T", "-", *NDJSON), MANY, LINES, piped=True),
    Form("put", ("-X", "PUT", "-d", TEXT.decode()), PLAIN, method="PUT"),
    Form("post_without_body", ("-X", "POST"), messages([""])),
    Form("path_and_query", ("-d", TEXT.decode()), PLAIN, path="/app/web?env=prod&x=%20"),
    Form("many_requests_one_connection", ("-d", TEXT.decode()), PLAIN * EVENTS, path=f"/?n=[1-{EVENTS}]", requests=EVENTS),
    Form("parallel", ("--parallel", "--no-progress-meter", "-d", TEXT.decode()), PLAIN * EVENTS,
         path=f"/?n=[1-{EVENTS}]", requests=EVENTS),
    Form("http1_0", ("--http1.0", *FROM_FILE, *NDJSON), MANY, LINES, http_version="HTTP/1.0"),
    Form("http1_0_large", ("--http1.0", *FROM_FILE, *NDJSON), parse_lines(LARGE), LARGE, http_version="HTTP/1.0"),
    Form("http2_upgrade_is_declined", ("--http2", *FROM_FILE, *NDJSON), MANY, LINES),
    Form("http2_prior_knowledge", ("--http2-prior-knowledge", *FROM_FILE, *NDJSON), MANY, LINES, http_version="HTTP/2.0"),
    Form("http2_prior_knowledge_large", ("--http2-prior-knowledge", *FROM_FILE, *NDJSON), parse_lines(LARGE), LARGE,
         http_version="HTTP/2.0"),
    Form("http2_prior_knowledge_from_pipe", ("--http2-prior-knowledge", *FROM_PIPE, *NDJSON), MANY, LINES, piped=True,
         http_version="HTTP/2.0"),
)


def typed(sandbox: Sandbox, form: Form) -> None:
    """Calls curl in this form and looks at what has arrived, and at what the headers say of the request."""
    file = sandbox.folder / "body"
    file.write_bytes(form.body)
    with Headgate(sandbox) as headgate:
        arguments = [argument.replace("{file}", str(file)) for argument in form.arguments]
        post(headgate.url(form.path), *arguments, stdin=form.body if form.piped else None, answers=form.requests)
        arrived = headgate.finish(len(form.events))
    check_arrived(arrived, form.events)
    for event in arrived:
        headers = event["headers"]
        check_equal("request_method", headers["request_method"], form.method)
        check_equal("http_version", headers["http_version"], form.http_version)
        check_equal("http_host", headers["http_host"], f"127.0.0.1:{headgate.port}")
        check(headers.get("http_user_agent", "").startswith("curl/"), f"http_user_agent is not curl's: {headers}")
        if form.requests == 1:
            check_equal("request_path", headers["request_path"], form.path)


for each in FORMS:
    add(typed, each, variant=each.name)


@case
def requests_share_a_connection(sandbox: Sandbox) -> None:
    """A curl that sends many requests opens one connection."""
    with Headgate(sandbox) as headgate:
        opened = curl("-d", TEXT.decode(), "-o", "/dev/null", "-w", "%{num_connects}", headgate.url(f"/?n=[1-{EVENTS}]"))
        arrived = headgate.finish(EVENTS)
    check_arrived(arrived, PLAIN * EVENTS)
    check_equal("connections opened", sum(map(int, opened.decode())), 1)


@case
def basic_auth(sandbox: Sandbox) -> None:
    """`-u` is let in, and the password stays out of the events."""
    with Headgate(sandbox, config=BASIC_AUTH) as headgate:
        post(headgate.url(), "-u", f"{USER}:{PASSWORD}", "--data-binary", "@-", *NDJSON, stdin=LINES)
        arrived = headgate.finish(EVENTS)
    check_arrived(arrived, MANY)


@case
def application_api(sandbox: Sandbox) -> None:
    """`--json` to the application API reads how many events were accepted."""
    with Headgate(sandbox) as headgate:
        answer = curl("--json", "@-", headgate.url("/v1/events"), stdin=ARRAY)
        arrived = headgate.finish(EVENTS)
    check_equal("answer", json.loads(answer), {"accepted": EVENTS})
    check_arrived(arrived, MANY, APPLICATION_ADDS)
