"""syslog-ng from Debian: a file source and its http() destination, in a folder of its own."""
import pathlib
import subprocess

from support.programs import find, run, stop
from support.registry import Sandbox, Skipped, check, check_equal
from support.waiting import wait_until

_CONFIGURATION = """\
@version: current
source s_file {{ file("{source}" flags(no-parse) read-old-records(yes) follow-freq(0.1) log-iw-size(100000)); }};
destination d_http {{ http(
  url("{url}")
  {options}
); }};
log {{ source(s_file); destination(d_http); flags(flow-control); }};
"""

# What it says where all is well; the thread is that of the command which asks for the counters.
_NOTICES = ("syslog-ng starting up", "syslog-ng shutting down", "Setting current version as config version",
            "ontrol command thread")


class SyslogNg:
    """Ships the lines of a file until the end of `with`; `options` are those of the http() destination."""

    def __init__(self, sandbox: Sandbox, source: pathlib.Path, url: str, options: str):
        self._daemon, self._control_program = find("syslog-ng"), find("syslog-ng-ctl")
        self._folder = sandbox.folder / "syslog-ng"
        self._folder.mkdir()
        self._file("conf").write_text(_CONFIGURATION.format(source=source, url=url, options=options))
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> "SyslogNg":
        with self._file("log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._daemon, "--foreground", "--no-caps", "--stderr", "--cfgfile", self._file("conf"),
                 "--persist-file", self._file("persist"), "--pidfile", self._file("pid"),
                 "--control", self._file("control")],
                cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until("syslog-ng to start", self._started, self._log)
        except BaseException:
            stop(self._process)
            raise
        return self

    def __exit__(self, *_) -> None:
        stop(self._process)

    def finish(self, count: int) -> None:
        """Waits until `count` lines are written, and fails if syslog-ng dropped one, tried again or complained."""
        wait_until(f"syslog-ng to write {count} lines", lambda: self._counter("written") >= count, self._log)
        check_equal("lines written", self._counter("written"), count)
        check_equal("lines dropped", self._counter("dropped"), 0)
        check_equal("exit status of syslog-ng", stop(self._process), 0)
        complaints = [line for line in self._log().splitlines() if not _is_notice(line)]
        check(not complaints, f"syslog-ng complains: {complaints}")

    def _counter(self, name: str) -> int:
        for line in run([self._control_program, "stats", "--control", self._file("control")]).decode().splitlines():
            fields = line.split(";")
            if fields[0] == "dst.http" and fields[-2] == name:
                return int(fields[-1])
        return 0

    def _started(self) -> bool:
        if self._process.poll() is not None and "http" in self._log() and "plugin" in self._log():
            raise Skipped("syslog-ng has no http() destination (see tests/clients/install)")
        check(self._process.poll() is None, f"syslog-ng ended: {self._log()}")
        return self._file("control").exists()

    def _log(self) -> str:
        return self._file("log").read_text(errors="replace")

    def _file(self, kind: str) -> pathlib.Path:
        return self._folder / f"syslog-ng.{kind}"


def _is_notice(line: str) -> bool:
    return any(notice in line for notice in _NOTICES)
