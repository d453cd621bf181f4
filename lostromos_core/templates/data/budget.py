"""Limit what one rendering may use, so that no data can take the operator's time and memory from other resources.

All work that a resource causes in its templates, in all files, guesses and rounds of lookups, is charged to one Budget:
steps of work, bytes of intermediate data, characters of output. Steps are counted, not timed, so the same resource
renders, or does not, on every machine. Work on data is charged before it begins.
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, Final, NoReturn, final

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lostromos_core import interfaces

MAX_STEPS: Final = 10_000_000
"""Steps of one rendering: about a second, since a step takes at most a tenth of a microsecond."""
TURN: Final = 50_000
"""Steps that a rendering may take in the event loop: a longer one moves to a thread."""
AT_ONCE: Final = 400_000
"""Steps of one operation that cannot be interrupted, such as sorting."""
BREATH: Final = 5_000
"""Steps after which a rendering in a thread lets the event loop run."""
MAX_MADE: Final = 96 << 20
"""Bytes of all texts, lists and mappings that one rendering makes, including those already discarded."""
MAX_CHARACTERS: Final = 32 << 20
"""Characters of all values that one rendering writes: over twenty of the largest objects that etcd accepts."""
MAX_DEPTH: Final = 150
"""Levels of nesting in a value; the serializer for objects accepts about 250, and a template has up to 100."""
ITEM: Final = 16
"""Characters that an item of a list or mapping counts for, in addition to its own."""
SHORT: Final = 256
"""Characters up to which a value is not counted: a rendering has too few such values to matter."""

_CONTAINERS: Final = (dict, list, tuple, set, frozenset)


@final
class TurnOverError(BaseException):
    """Raised when a rendering takes more than its turn in the event loop.

    Not a subclass of Exception, so that no filter handles it as one.
    """


@final
class Budget:
    """Track what a rendering has used; ``pause`` is called after each ``every`` steps, and may raise."""

    __slots__ = ("_every", "_made", "_next", "_pause", "_steps", "_written")

    def __init__(self) -> None:
        self._steps = self._made = self._written = 0
        self._pause: Callable[[], None] | None = None
        self._every = self._next = MAX_STEPS

    def every(self, steps: int, pause: Callable[[], None]) -> None:
        """Call ``pause`` after every further ``steps`` steps."""
        self._every, self._pause = steps, pause
        self._next = min(self._steps + steps, MAX_STEPS)

    def free(self) -> None:
        """Stop calling ``pause``: later charges to the budget are not part of a turn."""
        self._every, self._pause, self._next = MAX_STEPS, None, MAX_STEPS

    def spend(self, steps: int) -> None:
        """Count steps that are about to be taken; raises RenderError if there are too many."""
        self._steps += steps
        if self._steps > self._next:
            self._go_on()

    def _go_on(self) -> None:
        if self._steps > MAX_STEPS:
            raise errors.RenderError(_TOO_LONG)
        if self._pause is not None:
            self._pause()
        self._next = min(self._steps + self._every, MAX_STEPS)

    @property
    def exhausted(self) -> bool:
        """Report whether a limit is exceeded, so that nothing more can be done with the budget."""
        return self._steps > MAX_STEPS or self._made > MAX_MADE or self._written > MAX_CHARACTERS

    def at_once(self, steps: int) -> None:
        """Count steps like ``spend``, for an operation that cannot be interrupted."""
        if steps > AT_ONCE:
            raise errors.RenderError(_TOO_LONG_AT_ONCE)
        self.spend(steps)

    def make(self, size: int) -> None:
        """Count bytes that are about to be made."""
        self._made += size
        if self._made > MAX_MADE:
            raise errors.RenderError(_TOO_LARGE)
        self.spend(size >> 8)

    def write(self, characters: int) -> None:
        """Count characters that are about to be written; raises RenderError if there are too many."""
        self._written += characters
        if self._written > MAX_CHARACTERS:
            raise errors.RenderError(_TOO_MUCH)


_WAY_OUT = "or limit the number of items in the resource's schema"
_TOO_LONG = (
    f"the templates take more than {MAX_STEPS:,} steps for this resource, about a second; loop over less, do not "
    f"search a list in a loop over another one, {_WAY_OUT}"
)
_TOO_LONG_AT_ONCE = f"this sorts, searches or converts too much at once; do it with less, {_WAY_OUT}"
_TOO_LARGE = (
    f"the templates make more than {MAX_MADE >> 20} MiB of texts, lists and mappings for this resource; do not repeat "
    f"large ones, nor add to one in a loop, which copies it each time, {_WAY_OUT}"
)
_TOO_MUCH = (
    f"the values written exceed {MAX_CHARACTERS >> 20} MiB in total, but an object holds at most 1.5; "
    "write less, or limit the field's length in the resource's schema"
)


@final
class Slots(list[Any]):
    """Hold the values that one file has written, and the rendering's budget; ``marked`` if some are not plain data."""

    __slots__ = ("budget", "marked")

    def __init__(self, budget: Budget | None = None) -> None:
        super().__init__()
        self.budget = Budget() if budget is None else budget
        self.marked = False

    def part(self, numbers: Iterable[int]) -> Slots:
        """Return some of the values, in this order."""
        found = Slots(self.budget)
        found.marked = self.marked
        found.extend([self[number] for number in numbers])
        return found

    def rounds(self, items: Iterable[Any], cost: int) -> Iterator[Any]:
        """Yield the items, and charge ``cost`` steps for each."""
        spend = self.budget.spend
        for item in items:
            spend(cost)
            yield item


current: Final[contextvars.ContextVar[Slots]] = contextvars.ContextVar("slots")
"""The slots of the file being rendered; a context variable, so that imports without context find them, too."""
_whole: Final[contextvars.ContextVar[Budget]] = contextvars.ContextVar("budget")


@final
class rendering:  # noqa: N801 - used as a function, and faster than contextlib.contextmanager
    """Charge everything rendered within the block to one budget: the one already in use, if any."""

    __slots__ = ("_budget", "_reset")

    def __enter__(self) -> Budget:
        used = _charged()
        self._budget = Budget() if used is None else used
        self._reset = _whole.set(self._budget)
        return self._budget

    def __exit__(self, *_: object) -> None:
        _whole.reset(self._reset)


def slots() -> Slots:
    """Return slots for one file, charged to the rendering that it belongs to."""
    return Slots(_charged())


def _charged() -> Budget | None:
    """Return the budget of the current rendering, or None."""
    try:
        return _whole.get()
    except LookupError:
        return None


def now() -> Budget:
    """Return the budget that is currently charged, or a new one if nothing is being rendered."""
    found = current.get(None)
    if found is not None:
        return found.budget
    charged = _charged()
    return Budget() if charged is None else charged


def weigh(value: interfaces.Json) -> int:
    """Return the number of characters of plain data."""
    if isinstance(value, str):
        return ITEM + len(value)
    if isinstance(value, dict):
        return ITEM + sum(ITEM + len(key) + weigh(item) for key, item in value.items())
    if isinstance(value, list):
        return ITEM + sum(map(weigh, value))
    return ITEM


def walk(value: interfaces.Anything, budget: Budget, cost: int = 1) -> None:
    """Charge for everything in a value, at any depth; raises RenderError if it is too much or nested too deeply."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below = []
        for container in level:
            budget.spend(8 + cost * (1 + len(container)))
            inner = container.values() if isinstance(container, dict) else container
            below += [item for item in inner if isinstance(item, _CONTAINERS)]
        if not below:
            return
        level = below
    too_deep()


def too_deep() -> NoReturn:
    """Raise the RenderError for a value that is nested too deeply."""
    msg = f"a value is nested deeper than {MAX_DEPTH} levels; limit the nesting in the resource's schema"
    raise errors.RenderError(msg)
