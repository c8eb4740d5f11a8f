"""Watches what memory a running Headgate takes beyond the byte budget that is in use."""

import threading

from headgate import counter
from processes import Process, get

POLL_SECONDS = 0.1


class Memory:
    """The highest figures since the start, in MiB, looked at ten times a second. The budget is asked for after the
    memory was read, so that a request which ended between the two makes it look worse and not better."""

    def __init__(self, process: Process, admin_port: int):
        self.process, self.admin_port = process, admin_port
        self.idle = self.peak = process.rss_mib()
        self.peak_rss = self.peak
        self.peak_in_use = 0.0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self) -> None:
        while not self.is_over.wait(POLL_SECONDS):
            taken = self.process.rss_mib()
            in_use = counter(get(self.admin_port, "/metrics")[1], "headgate_in_flight_bytes") / 2**20
            self.peak_rss = max(self.peak_rss, taken)
            self.peak_in_use = max(self.peak_in_use, in_use)
            self.peak = max(self.peak, taken - in_use)

    def end(self) -> None:
        self.is_over.set()
        self.thread.join()
