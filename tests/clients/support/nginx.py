"""nginx from Debian under load, as a writer of access logs."""
import contextlib
import pathlib
import subprocess
import urllib.request
from collections.abc import Iterator

from support.ports import free_port
from support.programs import CLIENTS, find, run, stop
from support.registry import Failed, Sandbox, check, check_equal
from support.waiting import wait_until

_CONFIGURATION = """\
daemon off;
worker_processes 2;
pid nginx.pid;
error_log error.log warn;
events { worker_connections 256; }
http {
  client_body_temp_path temp_body;
  proxy_temp_path temp_proxy;
  fastcgi_temp_path temp_fastcgi;
  uwsgi_temp_path temp_uwsgi;
  scgi_temp_path temp_scgi;
  log_format json escape=json '{"request_id":"$request_id","time":"$time_iso8601","msec":$msec,'
    '"client":{"ip":"$remote_addr","port":$remote_port},"connection":$connection,'
    '"request":"$request","status":$status,"body_bytes":$body_bytes_sent,"seconds":$request_time,'
    '"referrer":"$http_referer","agent":"$http_user_agent"}';
  access_log access.ndjson json;
  access_log access.log combined;
  server {
    listen 127.0.0.1:PORT;
    keepalive_requests 1000;
    location / { return 200 "page\\n"; }
  }
}
"""

_MOST_ROUNDS = 30


def write_access_logs(sandbox: Sandbox, count: int) -> tuple[pathlib.Path, pathlib.Path]:
    """Lets nginx serve wrk until its logs have `count` lines, and cuts them there.

    Returns the JSON log and the combined log of the same requests.
    """
    folder = sandbox.folder / "nginx"
    folder.mkdir()
    json_log, combined_log = folder / "access.ndjson", folder / "access.log"
    with _nginx(folder) as url:
        load = [find("wrk"), "--threads", "2", "--connections", "32", "--duration", "1s",
                "--script", CLIENTS / "programs" / "browse.lua", url]
        for _ in range(_MOST_ROUNDS):
            run(load)
            if _count_lines(combined_log) >= count:
                break
        else:
            raise Failed(f"nginx wrote {_count_lines(combined_log)} lines in {_MOST_ROUNDS} s, and {count} are needed")
    for log in (json_log, combined_log):
        log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:count]))
        check_equal(f"lines in {log.name}", _count_lines(log), count)
    return json_log, combined_log


@contextlib.contextmanager
def _nginx(folder: pathlib.Path) -> Iterator[str]:
    url = f"http://127.0.0.1:{(port := free_port())}/"
    (folder / "nginx.conf").write_text(_CONFIGURATION.replace("PORT", str(port)))
    errors = folder / "stderr.log"
    with errors.open("wb") as log:
        process = subprocess.Popen(
            [find("nginx"), "-p", folder, "-e", "error.log", "-c", "nginx.conf"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def answers() -> bool:
        check(process.poll() is None, f"nginx ended: {errors.read_text()}")
        try:
            return urllib.request.urlopen(url, timeout=5).status == 200
        except OSError:
            return False

    try:
        wait_until("nginx to answer", answers)
        yield url
    finally:
        status = stop(process)
    check_equal("exit status of nginx", status, 0)


def _count_lines(file: pathlib.Path) -> int:
    return file.read_bytes().count(b"\n")
