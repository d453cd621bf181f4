"""Limit the objects that ``helm-template`` accepts from a chart to those that the chart makes from its defaults.

A chart that writes a value without quotes lets the value add fields and objects. Inside the resource's namespace, kinds
are compared. An object outside it must be one that the chart makes from its defaults for a release of the same name,
and must not grant other permissions.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors, interfaces

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lostromos_helm.objects import manifest

GroupKind = tuple[str, str]
_RBAC: Final = "rbac.authorization.k8s.io"
_POWER: Final = ("roleRef", "subjects", "rules", "aggregationRule")
"""Fields that grant permissions."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Hold the groups and kinds that a chart may make, and its control annotations with their values.

    ``listed``: kinds that the configuration allows; their objects are not compared with the defaults.
    """

    kinds: frozenset[GroupKind]
    annotations: frozenset[tuple[str, str]]
    listed: frozenset[GroupKind] = frozenset()


def limits_of(defaults: Sequence[manifest.Item], listed: Collection[GroupKind]) -> Limits:
    """Return the limits for a chart that makes these objects from its defaults."""
    kinds = {(item.ref.group, item.ref.kind) for item in defaults}
    seen = {pair for item in defaults for pair in _control(item)}
    return Limits(frozenset({*kinds, *listed}), frozenset(seen), frozenset(listed))


def refuse(items: Sequence[manifest.Item], limits: Limits) -> None:
    """Raise RefusedError for kinds and control annotations that the chart does not make from its defaults."""
    for item in items:
        ref = item.ref
        if (ref.group, ref.kind) not in limits.kinds:
            msg = (
                f"{item.file}: {ref}: the chart makes no {ref.kind} from its defaults; to allow it, list {_kind(item)} "
                "in the renderer's `kinds`"
            )
            raise errors.RefusedError(msg)
        for key, value in _control(item):
            if (key, value) not in limits.annotations:
                msg = f"{item.file}: {ref}: has {key}={value}, which the chart does not make from its defaults"
                raise errors.RefusedError(msg)


def is_far(item: manifest.Item, namespace: str, cluster_scoped: Collection[GroupKind]) -> bool:
    """Return whether an object is outside the resource's namespace, or grants permissions in it."""
    if item.ref.namespace != namespace or (item.ref.group, item.ref.kind) in cluster_scoped:
        return True
    return item.ref.group == _RBAC and "roleRef" in item.data


def refuse_far(
    items: Sequence[manifest.Item],
    defaults: Sequence[manifest.Item],
    limits: Limits,
    namespace: str,
    cluster_scoped: Collection[GroupKind],
) -> None:
    """Raise RefusedError for objects outside the resource's namespace that the defaults do not make.

    ``defaults``: the objects that the chart makes from its defaults for this same release.
    """
    known = {_identity(item, cluster_scoped): item for item in defaults}
    for item in items:
        if not is_far(item, namespace, cluster_scoped):
            continue
        ref, everywhere = item.ref, (item.ref.group, item.ref.kind) in cluster_scoped
        listed = (ref.group, ref.kind) in limits.listed
        if listed and (everywhere or ref.namespace == namespace):
            continue
        same = known.get(_identity(item, cluster_scoped))
        inside = not everywhere and ref.namespace == namespace
        if same is None and not inside:
            where = "is in no namespace" if everywhere else f"is outside the resource's namespace, {namespace}"
            way_out = f"; to allow it, list {_kind(item)} in the renderer's `kinds`" if everywhere else ""
            msg = f"{item.file}: {ref}: {where}, but the chart does not make it from its defaults{way_out}"
            raise errors.RefusedError(msg)
        if ref.group == _RBAC:
            _refuse_power(item, same, [one for one in defaults if one.ref.kind == ref.kind], inside=inside)


def _refuse_power(
    item: manifest.Item, same: manifest.Item | None, alike: Sequence[manifest.Item], *, inside: bool
) -> None:
    """Raise RefusedError if an object grants other permissions than the defaults do.

    ``inside`` the resource's namespace, only the bound role is compared.
    """
    if inside:
        if item.data.get("roleRef") in [one.data.get("roleRef") for one in alike]:
            return
        changed = "roleRef"
    else:
        before: Mapping[str, Any] = same.data if same else {}
        changed = next((field for field in _POWER if item.data.get(field) != before.get(field)), "")
        if not changed:
            return
    msg = (
        f"{item.file}: {item.ref}: its field {changed} is not what the chart makes from its defaults; to allow that, "
        f"list {_kind(item)} in the renderer's `kinds`"
    )
    raise errors.RefusedError(msg)


def _identity(item: manifest.Item, cluster_scoped: Collection[GroupKind]) -> tuple[str, str, str, str]:
    ref = item.ref
    return ref.group, ref.kind, "" if (ref.group, ref.kind) in cluster_scoped else ref.namespace, ref.name


def _kind(item: manifest.Item) -> str:
    return f"{item.ref.kind}{'.' if item.ref.group else ''}{item.ref.group}"


def _control(item: manifest.Item) -> list[tuple[str, str]]:
    """Return the labels and annotations that control how we handle an object."""
    metadata = item.data["metadata"]
    both = [metadata.get(field) for field in ("labels", "annotations")]
    pairs = [pair for one in both if isinstance(one, dict) for pair in one.items()]
    return [(str(key), str(value)) for key, value in pairs if str(key).startswith(interfaces.CONTROL_PREFIXES)]
