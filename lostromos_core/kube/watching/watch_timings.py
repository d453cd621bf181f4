"""Define the timeouts and delays of a watch."""

from __future__ import annotations

import dataclasses
from typing import final


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Timings:
    """Hold durations in seconds. Bookmarks arrive about once a minute: silence beyond ``idle`` means a dead connection.

    A stream that was open for ``steady`` seconds worked, whatever ended it: some collections have no bookmarks.
    ``last_asked`` is the longest pause that a server can request.
    """

    idle: float = 75.0
    server_timeout: float = 300.0
    steady: float = 30.0
    quiet_reconnect: float = 1.0
    first_retry: float = 0.5
    last_retry: float = 10.0
    last_asked: float = 60.0
    no_such_kind: float = 5.0
