"""The server under test: one process with its own configuration, ports and folder."""
import json
import os
import pathlib
import signal
import subprocess
import urllib.error
import urllib.request

from support.broker import Broker
from support.events import parse_lines
from support.ports import free_port
from support.registry import Sandbox, check, check_equal
from support.waiting import PATIENCE, wait_until

USER, PASSWORD = "shipper", "s3cret: with spaces"
BASIC_AUTH = {"auth": {"user": USER, "password": PASSWORD}}
"""Configuration for the tests in which the client has to present Basic credentials."""


class Headgate:
    """Starts at `with` and is killed at its end at the latest.

    `output` is "file" or "broker"; with "broker" the events go to a Broker stand-in of its own.
    `config` is merged into the configuration: a table of keys for each section.
    """

    def __init__(self, sandbox: Sandbox, output: str = "file", config: dict | None = None):
        self.port, self._admin_port = free_port(), free_port()
        self._binary, self._folder = sandbox.binary, sandbox.folder / "headgate"
        self._broker = Broker() if output == "broker" else None
        self._config = {
            "server": {"listen": f"127.0.0.1:{self.port}", "drain_delay": "100ms"},
            "admin": {"listen": f"127.0.0.1:{self._admin_port}"},
            "ingest": {"durability": "broker"},
        }
        # A test that posts one event after the other would wait this long for each.
        if self._broker:
            self._config["broker"] = {"urls": [self._broker.url], "linger": "0ms"}
        for section, keys in (config or {}).items():
            self._config[section] = self._config.get(section, {}) | keys
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> "Headgate":
        if self._broker:
            self._broker.__enter__()
        self._folder.mkdir()
        (self._folder / "test.toml").write_text(_toml(self._config))
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [self._binary, "serve", "--config", "test.toml"],
                cwd=self._folder, env=_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until("the server to be healthy", self._healthy, self._log)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._broker:
            self._broker.__exit__()

    def url(self, path: str = "/") -> str:
        """The address of a path on the public listener."""
        return f"http://127.0.0.1:{self.port}{path}"

    def books(self) -> dict:
        """The books as the admin listener shows them."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._admin_port}/status", timeout=PATIENCE) as answer:
            return json.load(answer)["books"]

    def finish(self, count: int) -> list[dict]:
        """Waits for `count` events, checks the books, ends the server and returns all that has arrived.

        The server has drained by then, so an event that was delivered twice is among them.
        """
        self.wait_for(count)
        books = self.books()
        expected = {"received": count, "accepted": count, "delivered": count,
                    "rejected": 0, "dead_lettered": 0, "spooled": 0, "balanced": True}
        check_equal("books", {name: books.get(name) for name in expected}, expected)
        return self.drain()

    def drain(self) -> list[dict]:
        """Ends the server, whatever clients are doing, and returns all that has arrived."""
        self._process.send_signal(signal.SIGTERM)
        check_equal("exit status of the server", self._process.wait(PATIENCE), 0)
        check("panicked" not in self._log(), f"the server panicked: {self._log()}")
        return self._broker.events() if self._broker else self._file_events()

    def wait_for(self, count: int) -> None:
        """Waits until at least `count` events have come in and none is under way."""
        def settled() -> bool:
            books = self.books()
            return books["received"] >= count and books["spooled"] == 0
        wait_until(f"{count} events", settled, self.books)

    @property
    def _log_file(self) -> pathlib.Path:
        return self._folder / "stderr.log"

    def _log(self) -> str:
        return self._log_file.read_text(errors="replace")

    def _healthy(self) -> bool:
        check(self._process.poll() is None, f"the server ended with {self._process.poll()}: {self._log()}")
        try:
            with urllib.request.urlopen(self.url("/health"), timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def _file_events(self) -> list[dict]:
        events = []
        for file in sorted((self._folder / "data" / "events").glob("*.ndjson")):
            text = file.read_bytes()
            check(text.endswith(b"\n"), f"the last line of {file.name} has no end")
            events += parse_lines(text)
        return events


def _environment() -> dict[str, str]:
    # The variables that steer these tests begin like those that configure the server.
    return {name: value for name, value in os.environ.items() if not name.startswith("HEADGATE_")}


def _toml(config: dict) -> str:
    lines = []
    for section, keys in config.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {_toml_value(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def _toml_value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(inner) for inner in value) + "]"
    # Strings, numbers and booleans are written in TOML as in JSON.
    return json.dumps(value, ensure_ascii=False)
