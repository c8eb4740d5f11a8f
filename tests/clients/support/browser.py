"""A page in Chromium, from an origin of its own."""
import http.server
import json
import pathlib
import queue
import subprocess
import threading

from support.programs import find, stop
from support.registry import Failed
from support.waiting import PATIENCE

# Alone, without a screen, and without a word to anybody but the page.
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
         "--disable-component-update", "--no-first-run", "--disable-sync"]


class Pages:
    """Serves one page, and takes what the page tells at `/said`."""

    def __init__(self, page: pathlib.Path):
        said = self._said = queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer("text/html", page.read_bytes())

            def do_POST(self) -> None:
                said.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer("text/plain", b"")

            def _answer(self, media_type: str, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> "Pages":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()

    def origin(self, host: str = "127.0.0.1") -> str:
        """The origin of the page, under one of the names of this machine."""
        return f"http://{host}:{self._server.server_port}"

    def said(self) -> list[str]:
        """What the page tells; waits for it."""
        try:
            return self._said.get(timeout=PATIENCE)
        except queue.Empty:
            raise Failed("the page tells nothing") from None


class Chromium:
    """Shows a page as long as the `with` lasts."""

    def __init__(self, folder: pathlib.Path, url: str):
        self._command = [find("chromium"), *FLAGS, f"--user-data-dir={folder / 'chromium'}", url]

    def __enter__(self) -> "Chromium":
        # Its standard error tells of what is missing on a server, such as a bus.
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_) -> None:
        stop(self._process)
