"""The disk alone: how long it takes to write a small record durably, where the spool of the servers lies."""

import os
import time
from pathlib import Path

RECORD = b"\x55" * 512
FILE_BYTES = 16 * 1024 * 1024


def sync_times(folder: Path, seconds: float) -> list[float]:
    """Writes 512 bytes and calls fdatasync, again and again, one behind the other into a file that is there already;
    the microseconds that each pair took, sorted."""
    path = folder / "sync-probe"
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(file, bytes(FILE_BYTES), 0)
        os.fsync(file)
        times = []
        offset = 0
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            begun = time.perf_counter_ns()
            os.pwrite(file, RECORD, offset)
            os.fdatasync(file)
            times.append((time.perf_counter_ns() - begun) / 1000)
            offset = (offset + len(RECORD)) % FILE_BYTES
    finally:
        os.close(file)
        path.unlink()
    return sorted(times)


def percentile(ordered: list[float], percent: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
