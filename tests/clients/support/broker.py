"""A Broker stand-in: takes `json_batch` deliveries over keep-alive connections and records every body."""
import http.server
import threading

from support.events import parse
from support.registry import check, check_equal


class Broker:
    """Listens on a port of its own until closed; use it with `with`."""

    def __init__(self):
        self._bodies: list[bytes] = []
        self._faults: list[str] = []
        self._lock = threading.Lock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "Broker":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where Headgate is to deliver."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def events(self) -> list[dict]:
        """All events of all deliveries; fails the test if a delivery was not a JSON array of objects."""
        check_equal("faulty deliveries", self._faults, [])
        events = []
        for body in self._bodies:
            batch = parse(body)
            check(isinstance(batch, list) and batch, "a delivery is no JSON array with events in it")
            events += batch
        return events

    def record(self, content_type: str | None, body: bytes) -> None:
        """Keeps one delivery; called from the thread of its connection."""
        with self._lock:
            if content_type != "application/json":
                self._faults.append(f"content type {content_type}")
            self._bodies.append(body)

    def _handler(broker) -> type[http.server.BaseHTTPRequestHandler]:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                length = self.headers["Content-Length"]
                if length is None:
                    self.send_error(411)
                    return
                broker.record(self.headers["Content-Type"], self.rfile.read(int(length)))
                self.send_response_only(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler
