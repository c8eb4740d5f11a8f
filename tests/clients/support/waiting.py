"""Waiting for a condition, with an end."""
import time
from collections.abc import Callable

from support.registry import Failed

PATIENCE = 60.0
"""Seconds after which waiting has failed: no measure of speed, only the difference from for ever."""


def wait_until(what: str, condition: Callable[[], object], state: Callable[[], object] = lambda: "") -> None:
    """Asks `condition` until it holds; `state` tells how far it came when it never does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"waited {PATIENCE:.0f} s in vain for {what} {state()}".rstrip())
        time.sleep(0.02)
