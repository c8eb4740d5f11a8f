"""Processes and ports: start, await, measure, end by pid. Linux only."""

import http.client
import os
import random
import resource
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

START_SECONDS = 10
STOP_SECONDS = 30

# What the kernel knows as CPUCLOCK_SCHED: time on a processor, in nanoseconds.
PROCESS_CLOCK = 2

GIVEN_PORTS: set[int] = set()


class ServerFailed(Exception):
    """A server that did not start, or that ended by itself."""


def free_port() -> int:
    """A port that nobody listens on, and never the same twice. It is below those that outgoing connections get, of
    which the load makes many while a server is about to start."""
    outgoing_from = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(1000):
        port = random.randrange(min(10_000, outgoing_from - 1), outgoing_from)
        if port not in GIVEN_PORTS and is_free(port):
            GIVEN_PORTS.add(port)
            return port
    raise ServerFailed("no free port was found")


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def ask(port: int, method: str, path: str, body: str = "", tls: bool = False) -> tuple[int, str]:
    """Status and text of an answer, over a connection of its own. Whose certificate it is does not matter here."""
    if tls:
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body or None)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def get(port: int, path: str, tls: bool = False) -> tuple[int, str]:
    return ask(port, "GET", path, tls=tls)


def raise_open_files() -> int:
    """As many open files as the system lets this process and its children have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Process:
    """A server that was started here, with its children; it logs to a file."""

    def __init__(self, command: list[str], log: Path):
        self.program = command[0]
        self.log = log
        # A setting of the person's own shell must not reach the server under test.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADGATE_")}
        with log.open("ab") as output:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )

    def await_answer(self, port: int, path: str, tls: bool = False, seconds: float = START_SECONDS) -> None:
        """Returns as soon as a GET is answered below 500."""
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            self.check_alive()
            try:
                if get(port, path, tls)[0] < 500:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)
        raise ServerFailed(f"no answer from {self.program} within {seconds} s\n{self.log_tail()}")

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
        """User and system time of all its processes since their start, threads that have ended included."""
        return sum(map(cpu_nanoseconds, self.pids())) / 1e9

    def forget_peak_rss(self) -> None:
        """Begins the peak of the memory anew."""
        for pid in self.pids():
            # proc(5): 5 resets the "high water mark".
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak_rss_mib(self) -> float:
        """The sum of the peaks of all its processes; pages that they share count for each."""
        return sum(memory_kib(pid, "VmHWM") for pid in self.pids()) / 1024

    def rss_mib(self) -> float:
        return sum(memory_kib(pid, "VmRSS") for pid in self.pids()) / 1024

    def stop(self) -> None:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()


def cpu_nanoseconds(pid: int) -> int:
    """From the processor-time clock of a process (clock_getcpuclockid(3)): /proc has hundredths of a second only."""
    return time.clock_gettime_ns((~pid << 3) | PROCESS_CLOCK)


def memory_kib(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0
