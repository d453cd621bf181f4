"""The trace of the proxy: one record for each request, in the order in which they came in."""

import dataclasses
import itertools
import time
from collections.abc import Mapping
from typing import Final, final

from tests.chaos import messages

WRITING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A request and what has become of it so far."""

    number: int
    """From 1, in order of arrival, anew after each reset of the log."""
    time: float
    """When the request had come in whole, on the clock of time.monotonic()."""
    method: str
    path: str
    query: str
    """As sent, percent-encoded."""
    user_agent: str
    headers: Mapping[str, str] = dataclasses.field(repr=False)
    """By lower-case name; of a repeated header, the last."""
    body: bytes = dataclasses.field(repr=False)
    status: int | None = None
    """Of the response; None as long as the client has received no byte of one."""
    sent: int = 0
    """Bytes of the response's body that were sent to the client."""
    rule: str | None = None
    """The name of the rule that was applied."""
    ended: float | None = None
    """When the exchange was over, shortly after the last byte was sent; None while it goes on."""


@final
class Ticket:
    """A request in progress: what is known at its arrival, and what changes until it ends."""

    __slots__ = ("_arrived", "ended", "rule", "sent", "status")

    def __init__(self, arrived: Record) -> None:
        self._arrived = arrived
        self.status: int | None = None
        self.sent = 0
        self.rule: str | None = None
        self.ended: float | None = None

    def record(self) -> Record:
        """The state of this moment."""
        return dataclasses.replace(self._arrived, status=self.status, sent=self.sent, rule=self.rule, ended=self.ended)


@final
class Trace:
    """All tickets since the last reset.

    One thread writes, any thread reads: everything is replaced or appended in one step.
    """

    def __init__(self) -> None:
        self._log: list[Ticket] = []
        self._numbers = itertools.count(1)

    def reset(self) -> None:
        """Forget all; exchanges that still go on are no longer logged."""
        self._numbers = itertools.count(1)
        self._log = []

    def records(self) -> list[Record]:
        """The requests so far, ended or not, by number."""
        return [ticket.record() for ticket in self._log.copy()]

    def open(self, head: messages.RequestHead, *, body: bytes) -> Ticket:
        """Log a request that has just come in."""
        path, _, query = head.target.partition("?")
        ticket = Ticket(
            Record(
                number=next(self._numbers),
                time=time.monotonic(),
                method=head.method,
                path=path,
                query=query,
                user_agent=head.headers.get("user-agent", ""),
                headers=head.headers,
                body=body,
            )
        )
        self._log.append(ticket)
        return ticket
