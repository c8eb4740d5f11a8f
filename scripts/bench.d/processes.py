"""Processes and ports: start, await, measure from /proc, end by pid. Linux only."""

import http.client
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

START_SECONDS = 10
STOP_SECONDS = 30
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class ServerFailed(Exception):
    """A server that did not start, or that ended by itself."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(port: int, path: str) -> tuple[int, str]:
    """Status and text of a GET over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Process:
    """A server that was started here, with its children; it logs to a file."""

    def __init__(self, command: list[str], log: Path):
        self.program = command[0]
        self.log = log
        # A setting of the person's own shell must not reach the server under test.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADGATE_")}
        with log.open("wb") as output:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )

    def await_answer(self, port: int, path: str) -> None:
        """Returns as soon as a GET is answered below 500."""
        give_up_at = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up_at:
            self.check_alive()
            try:
                if get(port, path)[0] < 500:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)
        raise ServerFailed(f"no answer from {self.program} within {START_SECONDS} s\n{self.log_tail()}")

    def check_alive(self) -> None:
        if self.child.poll() is not None:
            raise ServerFailed(f"{self.program} ended with {self.child.returncode}\n{self.log_tail()}")

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])

    def pids(self) -> list[int]:
        """The process and its children (of nginx: the workers)."""
        pid = self.child.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [pid, *map(int, children.split())]

    def cpu_seconds(self) -> float:
        """User and system time of all its processes since their start."""
        return sum(map(cpu_ticks, self.pids())) / CLOCK_TICKS

    def peak_rss_mib(self) -> float:
        """The sum of the peaks of all its processes; pages that they share count for each."""
        return sum(map(peak_rss_kib, self.pids())) / 1024

    def stop(self) -> None:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


def cpu_ticks(pid: int) -> int:
    # proc(5): the second field, the command in brackets, may hold spaces; utime and stime are fields 14 and 15.
    after_command = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_command[11]) + int(after_command[12])


def peak_rss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0
