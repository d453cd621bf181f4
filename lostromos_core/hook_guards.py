"""Wrap implementations of hooks, so that one that fails stops neither the others nor its caller.

pluggy calls all implementations of a hook in their order, and inside their wrappers; an exception of one of them ends
the call. A plug-in is therefore registered as a stand-in whose implementations are guarded: each gets arguments of its
own, and its exception becomes what the hook says of a failure.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, final

from lostromos_core import errors, hookspecs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    import pluggy

    T = TypeVar("T")
    Results: TypeAlias = list[object]
    Wrapper: TypeAlias = Generator[None, Results, Results]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Guard:
    """Hold how the implementations of one hook are called.

    ``own`` returns an implementation's own copy of an argument. ``failed`` gets the plug-in's name and the exception,
    and returns the result to use in its place, None for no result.
    """

    own: Callable[[object], object]
    failed: Callable[[str, Exception], object]

    def call(self, function: Callable[..., T], arguments: Iterable[object], more: Mapping[str, object]) -> T:
        """Call an implementation with its own copies of the arguments."""
        return function(*map(self.own, arguments), **{name: self.own(value) for name, value in more.items()})


@final
class _StandIn:
    """Hold the implementations of a plug-in; equal to every other stand-in of it, so that pluggy refuses a second."""

    def __init__(self, plugin: object) -> None:
        self._plugin = plugin

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _StandIn) and other._plugin is self._plugin

    def __hash__(self) -> int:
        return id(self._plugin)

    def __repr__(self) -> str:
        return repr(self._plugin)


def stand_in(manager: pluggy.PluginManager, plugin: object, name: str, guards: Mapping[str, Guard]) -> object:
    """Return an object to register in place of a plug-in.

    It has the implementations of the plug-in, with their options; those of the hooks in ``guards`` are guarded. Raises
    PluginValidationError (from pluggy) for what is not callable, PluginError for a wrapper of a hook without a guard.
    """
    made = _StandIn(plugin)
    for attribute in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, attribute)
        if options is None:
            continue
        function = getattr(plugin, attribute)
        guard = guards.get(options.get("specname") or attribute)
        _refuse(function, attribute, options, guard)
        if guard:
            guarded = _wrapper(function, name, guard) if options.get("wrapper") else _plain(function, name, guard)
        else:
            guarded = _passed_on(function)
        setattr(made, attribute, hookspecs.hookimpl(**options)(guarded))
    return made


def _refuse(function: object, attribute: str, options: Mapping[str, Any], guard: Guard | None) -> None:
    if options.get("hookwrapper"):
        msg = f"{attribute} is an old-style wrapper (hookwrapper=True); use wrapper=True"
        raise errors.PluginError(msg)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        msg = f"{attribute} is `async`; hooks are plain functions"
        raise errors.PluginError(msg)
    if options.get("wrapper") and guard is None:
        msg = f"{attribute} is a wrapper; only policies and notifications can be wrapped"
        raise errors.PluginError(msg)


def _passed_on(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def passed_on(*arguments: object, **more: object) -> object:
        return function(*arguments, **more)

    return passed_on


def _plain(function: Callable[..., object], name: str, guard: Guard) -> Callable[..., object]:
    @functools.wraps(function)
    def guarded(*arguments: object, **more: object) -> object:
        try:
            return guard.call(function, arguments, more)
        except Exception as error:  # noqa: BLE001 - the caller and the other plug-ins must go on
            return guard.failed(name, error)

    return guarded


def _wrapper(function: Callable[..., Wrapper], name: str, guard: Guard) -> Callable[..., Wrapper]:
    """Return a wrapper that does what ``function`` does, and passes on the results of the others if that fails."""

    @functools.wraps(function)
    def guarded(*arguments: object, **more: object) -> Wrapper:
        running: Wrapper | None = None
        failure: object = None
        try:
            running = guard.call(function, arguments, more)
            _first_yield(running)
        except Exception as error:  # noqa: BLE001 - the caller and the other plug-ins must go on
            running, failure = None, guard.failed(name, error)
        results = yield
        if running is not None:
            try:
                return _finish(running, list(results))
            except Exception as error:  # noqa: BLE001 - the caller and the other plug-ins must go on
                failure = guard.failed(name, error)
        return results if failure is None else [*results, failure]

    return guarded


def _first_yield(running: Wrapper) -> None:
    try:
        next(running)
    except StopIteration:
        msg = "the wrapper does not yield"
        raise TypeError(msg) from None


def _finish(running: Wrapper, results: Results) -> Results:
    """Send the results of the others to a wrapper, and return what it makes of them; raises TypeError if no list."""
    try:
        running.send(results)
    except StopIteration as end:
        if isinstance(end.value, list):
            return end.value
        msg = f"the wrapper must return the list of results, but returned {type(end.value).__name__}"
        raise TypeError(msg) from None
    running.close()
    msg = "the wrapper yields more than once"
    raise TypeError(msg)
