"""nginx from Debian as a proxy before a Broker, that limits the rate of requests and can be stopped, started and reloaded."""
import collections
import pathlib
import signal
import subprocess
import urllib.error
import urllib.request

from support.ports import free_port
from support.programs import find, stop
from support.registry import check, check_equal
from support.waiting import wait_until

_CONFIGURATION = """\
daemon off;
worker_processes 2;
pid nginx.pid;
error_log error.log crit;
events { worker_connections 256; }
http {
  client_body_temp_path temp_body;
  proxy_temp_path temp_proxy;
  fastcgi_temp_path temp_fastcgi;
  uwsgi_temp_path temp_uwsgi;
  scgi_temp_path temp_scgi;
  log_format statuses "$status $request_method";
  access_log access.log statuses;
  limit_req_zone $binary_remote_addr zone=broker:1m rate=RATEr/s;
  upstream broker { server BROKER; keepalive 16; }
  server {
    listen 127.0.0.1:PORT;
    client_max_body_size 8m;
    location / {
      limit_req zone=broker burst=5 nodelay;
      limit_req_status STATUS;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass http://broker;
    }
    location = /alive { return 204; }
  }
}
"""


class NginxProxy:
    """Starts at `with`; refuses what is beyond `rate` requests a second with `status`."""

    def __init__(self, folder: pathlib.Path, broker: str, status: int, rate: int):
        self._folder, self._address = folder, f"http://127.0.0.1:{(port := free_port())}/"
        folder.mkdir()
        settings = {"PORT": port, "STATUS": status, "RATE": rate, "BROKER": broker.removeprefix("http://").rstrip("/")}
        text = _CONFIGURATION
        for word, value in settings.items():
            text = text.replace(word, str(value))
        (folder / "nginx.conf").write_text(text)
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> "NginxProxy":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        stop(self._process)

    @property
    def url(self) -> str:
        """Where Headgate is to deliver."""
        return self._address

    def start(self) -> None:
        """Starts it and waits until it answers."""
        errors = self._folder / "stderr.log"
        with errors.open("ab") as log:
            self._process = subprocess.Popen(
                [find("nginx"), "-p", self._folder, "-e", "error.log", "-c", "nginx.conf"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def answers() -> bool:
            check(self._process.poll() is None, f"nginx ended: {errors.read_text()}")
            try:
                return urllib.request.urlopen(f"{self._address}alive", timeout=5).status == 204
            except OSError:
                return False

        wait_until("nginx to answer", answers)

    def stop(self) -> None:
        """Stops it at once, whatever is under way."""
        check_equal("exit status of nginx", stop(self._process), 0)

    def reload(self) -> None:
        """Lets new workers take over."""
        self._process.send_signal(signal.SIGHUP)

    def answers(self) -> collections.Counter:
        """How often it answered a POST with each status."""
        lines = (self._folder / "access.log").read_text().splitlines()
        posts = [line.split()[0] for line in lines if line.endswith(" POST")]
        return collections.Counter(map(int, posts))
