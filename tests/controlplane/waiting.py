"""Waiting for something to become true, with an end."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

Result = TypeVar("Result")
ROOT_CA: Final = "kube-root-ca.crt"
"""The ConfigMap that the controller manager puts into each new namespace, in its own time: nobody else's doing."""


def wait_until(
    predicate: Callable[[], Result], *, timeout: float = 30.0, message: str = "", interval: float = 0.02
) -> Result:
    """Call `predicate` until it answers something true, and return that.

    Sleeps `interval` seconds between calls. Raises TimeoutError after `timeout` seconds; its text has the message and
    the last answer. An exception of the predicate ends the wait.
    """
    deadline = time.monotonic() + timeout
    while not (result := predicate()):
        if time.monotonic() > deadline:
            what = message or getattr(predicate, "__name__", "the condition")
            raise TimeoutError(f"waited {timeout:g} s in vain: {what} (last answer: {result!r:.200})")
        time.sleep(interval)
    return result


def wait_until_still(look: Callable[[], Result], *, seconds: float, timeout: float = 60.0, message: str = "") -> Result:
    """Call `look` until it answers the same before and after some seconds, and return that.

    What has just been asked for may be under way still; what never rests is a TimeoutError, with the last two answers.
    """
    deadline = time.monotonic() + timeout
    before = look()
    while True:
        time.sleep(seconds)
        now = look()
        if now == before:
            return now
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s in vain: {message or 'rest'} (last answers: {before!r}, {now!r})")
        before = now
