"""Find plug-ins by their entry points, check them, and keep what they provide.

A Registry is a value that ``load`` creates and callers pass on; there is no global one.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib.metadata
from typing import TYPE_CHECKING, Any, Final, final

import orjson
import pluggy
import structlog

from lostromos_core import backends, errors, hook_guards, hookspecs, interfaces

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

_log = structlog.get_logger("lostromos.plugins")

GROUP: Final = "lostromos"
INSTALL: Final = {
    "server-side": "lostromos-kubectl",
    "kubectl": "lostromos-kubectl",
    "helm": "lostromos-helm",
    "helm-template": "lostromos-helm",
}
"""Back ends that our distributions provide, for the error that says what to install."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Plugin:
    """Describe a loaded plug-in: its origin, what it provides (``applier kubectl``, ``filter slug``, ``policy``...)."""

    name: str
    distribution: str
    version: str
    provides: tuple[str, ...]


_KINDS: Final = {
    "watcher": "lostromos_watchers",
    "renderer": "lostromos_renderers",
    "applier": "lostromos_appliers",
    "filter": "lostromos_template_filters",
    "test": "lostromos_template_tests",
    "function": "lostromos_template_functions",
}
_LISTED: Final = {
    "policy": "lostromos_review",
    "notification reconciled": "lostromos_reconciled",
    "notification unreadable": "lostromos_unreadable",
}
"""Labels of hooks that provide nothing under a name."""


@final
class Registry:
    """Hold what all plug-ins together provide."""

    def __init__(
        self,
        manager: pluggy.PluginManager,
        things: Mapping[str, Mapping[str, Any]],
        plugins: Sequence[Plugin],
        disabled: Collection[str] = (),
    ) -> None:
        self._manager = manager
        self._things = things
        self.plugins = tuple(plugins)
        self.disabled = tuple(sorted(disabled))

    def names(self, kind: str) -> list[str]:
        """Return the names of all back ends of a kind (``watcher``, ``renderer`` or ``applier``), sorted."""
        return sorted(self._things[kind])

    def backend(self, kind: str, name: str) -> backends.Backend:
        """Return the back end of a kind and name; raises PluginError that says what to install."""
        found = self._things[kind].get(name)
        if isinstance(found, backends.Backend):
            return found
        if self.disabled:
            which = ", ".join(self.disabled)
            msg = f"no plug-in that is loaded provides the {kind} {name!r}; these are disabled: {which}"
            raise errors.PluginError(msg)
        if name in INSTALL:
            old = any(plugin.distribution == INSTALL[name] for plugin in self.plugins)
            why = "is not in the installed version; a newer one may have it" if old else "is not installed"
            folder = INSTALL[name].replace("-", "_")
            msg = f"the {kind} {name!r} {why}: pip install ./{folder} in a clone of Lostrómos"
            raise errors.PluginError(msg)
        there = ", ".join(self.names(kind)) or "none"
        msg = f"there is no {kind} {name!r} (available: {there}){errors.nearest(name, self.names(kind))}"
        raise errors.PluginError(msg)

    @property
    def filters(self) -> Mapping[str, Callable[..., Any]]:
        """Return the template filters by name."""
        return self._things["filter"]

    @property
    def tests(self) -> Mapping[str, Callable[..., Any]]:
        """Return the template tests by name."""
        return self._things["test"]

    @property
    def functions(self) -> Mapping[str, Any]:
        """Return the template functions by name."""
        return self._things["function"]

    def review(self, controller: str, resource: interfaces.Resource, rendered: interfaces.Rendered) -> list[str]:
        """Return why policies forbid an apply; empty if none does. Each policy gets its own copies of the data."""
        answers = self._manager.hook.lostromos_review(controller=controller, resource=resource, rendered=rendered)
        return [str(answer) for answer in answers if answer]

    def tell_reconciled(self, controller: str, key: str, report: interfaces.Report | None, seconds: float) -> None:
        """Notify all plug-ins that a reconcile is over."""
        self._manager.hook.lostromos_reconciled(controller=controller, key=key, report=report, seconds=seconds)

    def tell_unreadable(self, controller: str, key: str, reason: str) -> None:
        """Notify all plug-ins of a resource that cannot be read."""
        self._manager.hook.lostromos_unreadable(controller=controller, key=key, reason=reason)


def _own(argument: object) -> object:
    """Return a policy's own copy of an argument, so that it can change neither what others see nor what is applied."""
    if isinstance(argument, interfaces.Resource):
        return dataclasses.replace(argument, data=_copy(argument.data))
    if isinstance(argument, interfaces.Values | interfaces.Manifests):
        return _copy_rendered(argument)
    return argument


def _forbid(plugin: str, error: Exception) -> str:
    _log.error("a policy failed, so it forbids", plugin=plugin, exc_info=error)
    return f"the policy {plugin} failed: {type(error).__name__}"


def _notification(hook: str) -> hook_guards.Guard:
    def failed(plugin: str, error: Exception) -> None:
        _log.error("a plug-in failed", plugin=plugin, hook=hook, exc_info=error)

    return hook_guards.Guard(own=lambda argument: argument, failed=failed)


_GUARDS: Final = {
    "lostromos_review": hook_guards.Guard(own=_own, failed=_forbid),
    **{hook: _notification(hook) for hook in ("lostromos_reconciled", "lostromos_unreadable")},
}
"""Hooks that are called at run time, where a plug-in that fails must not stop the operator or another plug-in."""


def _copy_rendered(rendered: interfaces.Rendered) -> interfaces.Rendered:
    if isinstance(rendered, interfaces.Values):
        return dataclasses.replace(rendered, values=_copy(rendered.values), status=_copy(rendered.status))
    units = []
    for unit in rendered.units:
        manifests = tuple(interfaces.Manifest(_copy(one.data), one.source) for one in unit.manifests)
        units.append(dataclasses.replace(unit, manifests=manifests))
    return dataclasses.replace(rendered, units=tuple(units), status=_copy(rendered.status))


def _copy(data: interfaces.Json) -> interfaces.Json:
    """Return a copy of plain data. Copying through JSON takes 1 to 5 µs per object, an eighth of deepcopy's time."""
    try:
        return orjson.loads(orjson.dumps(data))
    except (orjson.JSONEncodeError, orjson.JSONDecodeError):
        return copy.deepcopy(data)


def load(extra: Iterable[tuple[str, object]] = (), *, disable: Collection[str] = ()) -> Registry:
    """Load every installed plug-in, and the ``extra`` ones given as (name, module or object).

    Those named in ``disable`` are not even imported. Raises PluginError that names the plug-in, its distribution and
    version.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    origins: dict[str, tuple[str, str]] = {}
    points = sorted(importlib.metadata.entry_points(group=GROUP), key=lambda point: point.name)
    for point in (one for one in points if one.name not in disable):
        origin = (point.dist.name, point.dist.version) if point.dist else ("unknown", "")
        _register(manager, point.name, _import(point, origin), origin, origins)
    for name, plugin in extra:
        _register(manager, name, plugin, ("given by the program", ""), origins)
    things, provided = _collect(manager, origins)
    plugins = [Plugin(name, *origins[name], tuple(provided.get(name, ()))) for name in sorted(origins)]
    return Registry(manager, things, plugins, {point.name for point in points} & set(disable))


def installed() -> list[str]:
    """Return the names of all installed plug-ins, sorted, without importing them."""
    return sorted({point.name for point in importlib.metadata.entry_points(group=GROUP)})


def _who(name: str, origin: tuple[str, str]) -> str:
    return f"the plug-in {name!r} ({' '.join(origin).strip()})"


def _import(point: importlib.metadata.EntryPoint, origin: tuple[str, str]) -> object:
    try:
        return point.load()
    except Exception as error:
        msg = (
            f"{_who(point.name, origin)} cannot be imported: {type(error).__name__}: {error}; repair or uninstall it, "
            f"or disable it with -p no:{point.name}"
        )
        raise errors.PluginError(msg) from error


def _register(
    manager: pluggy.PluginManager,
    name: str,
    plugin: object,
    origin: tuple[str, str],
    origins: dict[str, tuple[str, str]],
) -> None:
    who = _who(name, origin)
    if isinstance(plugin, type):
        msg = f"{who} is a class; its entry point must name a module or an instance"
        raise errors.PluginError(msg)
    try:
        manager.register(hook_guards.stand_in(manager, plugin, name, _GUARDS), name)
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError, errors.PluginError) as error:
        msg = f"{who} does not fit: {errors.shorten(str(error))}"
        raise errors.PluginError(msg) from error
    origins[name] = origin


def _collect(
    manager: pluggy.PluginManager, origins: Mapping[str, tuple[str, str]]
) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """Return what plug-ins provide by kind and name, and by plug-in; refuse a name that two of them provide."""
    things: dict[str, dict[str, Any]] = {kind: {} for kind in _KINDS}
    bringer: dict[tuple[str, str], str] = {}
    provided: dict[str, list[str]] = {}
    for kind, hook in _KINDS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            plugin = implementation.plugin_name
            for name, thing in _call(implementation, origins[plugin]).items():
                if (kind, name) in bringer:
                    first = bringer[kind, name]
                    two = f"{_who(first, origins[first])} and {_who(plugin, origins[plugin])}"
                    msg = f"the {kind} {name!r} comes from {two}; uninstall one of them"
                    raise errors.PluginError(msg)
                bringer[kind, name] = plugin
                things[kind][name] = thing
                provided.setdefault(plugin, []).append(f"{kind} {name}")
    for what, hook in _LISTED.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            provided.setdefault(implementation.plugin_name, []).append(what)
    return things, provided


def _call(implementation: interfaces.Anything, origin: tuple[str, str]) -> Mapping[str, Any]:
    who = _who(implementation.plugin_name, origin)
    try:
        answer = implementation.function()
    except Exception as error:
        msg = f"{who} failed to list what it provides: {type(error).__name__}: {error}"
        raise errors.PluginError(msg) from error
    if not isinstance(answer, dict):
        msg = f"{who} must return a dict from {implementation.function.__name__}, but returned {type(answer).__name__}"
        raise errors.PluginError(msg)
    return answer
