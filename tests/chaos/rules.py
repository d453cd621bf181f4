"""Rules say which requests are struck by which actions; the book holds those in force."""

import dataclasses
import random
import re
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, final

from tests.chaos import actions, records

Predicate = Callable[[records.Record], bool]


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which requests, and what is done to them.

    Of the requests that match, the first `skip` are let alone, then `times` are struck (None: all), each with a chance.
    """

    name: str
    actions: tuple[actions.Action, ...]
    method: str = ".*"
    """Regular expression for the whole method, such as "POST|PATCH"."""
    path: str = ""
    """Regular expression found in the path, as sent."""
    query: str = ""
    """Regular expression found in the query, as sent, such as "watch=(1|true)"."""
    predicate: Predicate | None = None
    skip: int = 0
    times: int | None = None
    chance: float = 1.0

    def matches(self, record: records.Record) -> bool:
        """Whether this is one of the requests, whatever their number."""
        return (
            re.fullmatch(self.method, record.method) is not None
            and re.search(self.path, record.path) is not None
            and re.search(self.query, record.query) is not None
            and (self.predicate is None or self.predicate(record))
        )


@final
class Standing:
    """A rule in force: it counts, and it is removed by leaving its context, if one was entered."""

    def __init__(self, rule: Rule, *, seed: str, remove: Callable[["Standing"], None]) -> None:
        self.rule = rule
        self.matched = 0
        """Requests that matched, those skipped included."""
        self.applied = 0
        """Requests that were struck."""
        # A source of its own: neither other rules nor traffic elsewhere change what chance decides here.
        self.random = random.Random(seed)
        self._remove = remove

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove(self)

    def strikes(self, record: records.Record) -> bool:
        """Count a request, and decide whether the actions apply to it."""
        rule = self.rule
        if self.applied == rule.times or not rule.matches(record):
            return False
        self.matched += 1
        struck = self.matched > rule.skip and self.random.random() < rule.chance
        self.applied += struck
        return struck


@final
class Book:
    """The rules in force, in the order of their addition: the first that strikes a request is the only one applied.

    Any thread adds and removes; one thread, the proxy's, asks.
    """

    def __init__(self, *, seed: int) -> None:
        self._seed = seed
        self._added = 0
        self._standing: tuple[Standing, ...] = ()
        self._changing = threading.Lock()

    def add(self, rule: Rule) -> Standing:
        """Put a rule in force, after all others."""
        with self._changing:
            self._added += 1
            standing = Standing(rule, seed=f"{self._seed}/{self._added}", remove=self.remove)
            self._standing = (*self._standing, standing)
        return standing

    def remove(self, standing: Standing) -> None:
        """Put a rule out of force; exchanges that it has struck go on as they are. Removed twice is removed."""
        with self._changing:
            self._standing = tuple(other for other in self._standing if other is not standing)

    def find(self, ticket: records.Ticket) -> Standing | None:
        """The rule for a request; its name is put on the ticket."""
        standing = self._standing
        if not standing:
            return None
        record = ticket.record()
        found = next((one for one in standing if one.strikes(record)), None)
        ticket.rule = found.rule.name if found else None
        return found
