"""Build the object to send from a rendered manifest: its namespace, our labels and annotations, digest, and order.

Pure, except for looking up how the cluster serves the kind.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import http
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, final

import orjson

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.kinds import list_keys
from lostromos_core.kube.managed_fields import fields
from lostromos_core.kube.transport import paths
from lostromos_kubectl.objects import references

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core.kube.kinds import discovery
    from lostromos_core.kube.tracking import tracked_objects

MAX_BYTES: Final = 1_500_000
"""Maximum size of a request to etcd by default; larger objects are refused before they are sent."""

LONGEST_NAME: Final = 253
"""Maximum characters of a name. Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""

RANKS: Final = {
    kind: rank
    for rank, kinds in enumerate(
        (
            ("Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "RuntimeClass", "IngressClass"),
            ("NetworkPolicy", "ResourceQuota", "LimitRange", "PodDisruptionBudget"),
            ("ServiceAccount", "Secret", "ConfigMap", "PersistentVolume", "PersistentVolumeClaim"),
            ("ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding"),
            ("Service",),
        )
    )
    for kind in kinds
}
"""Ranks of kinds: those that others need come first; all other kinds last. Model: Helm's InstallOrder."""
LAST_RANK: Final = max(RANKS.values()) + 1

_SERVER_FIELDS: Final = frozenset(
    {"resourceVersion", "uid", "generation", "creationTimestamp", "managedFields", "selfLink"}
)
Reference: TypeAlias = Literal["none", "plain", "blocking"]
Conflicts: TypeAlias = Literal["fail", "force", "yield"]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Directives:
    """Hold the directives in an object's annotations; see ``lostromos_core.kube.labels``.

    An empty ``conflicts`` means the default.
    """

    wave: int = 0
    adopt: bool = False
    create_only: bool = False
    orphan: bool = False
    recreate: bool = False
    conflicts: Conflicts | Literal[""] = ""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Desired:
    """Hold one desired object. ``body`` is what is sent, without the conditions of one request (uid, version).

    ``path`` is its path at the API server, ``unit`` the template file that made it, ``directives`` its annotations that
    control how it is treated, ``list_keys`` the defaults of the keys of its list items.
    """

    ref: interfaces.ObjectRef
    kind: discovery.Kind
    body: Mapping[str, Any]
    path: str
    digest: str
    manifest: interfaces.Manifest
    unit: str
    directives: Directives
    list_keys: list_keys.Defaults = list_keys.BUILT_IN

    @property
    def key(self) -> tracked_objects.Key:
        """Return its identity."""
        return self.ref.key

    @property
    def rank(self) -> int:
        """Return its rank within its wave: lower is applied first."""
        return rank(self.ref.kind)

    def under(self, **conditions: str) -> dict[str, Any]:
        """Return the body with conditions in its metadata: ``uid``, or ``resourceVersion`` "1" for create-only."""
        return {**self.body, "metadata": {**self.body["metadata"], **conditions}}


def rank(kind: str) -> int:
    """Return the rank of a kind: lower is applied first."""
    return RANKS.get(kind, LAST_RANK)


def prepare(
    manifest: interfaces.Manifest,
    unit: str,
    owner: interfaces.Resource,
    kind: discovery.Kind,
    *,
    reference: Reference = "blocking",
    keys: list_keys.Defaults = list_keys.BUILT_IN,
) -> Desired:
    """Return the object that a manifest describes; raises RefusedError if it cannot be applied for this owner.

    Raises RenderError for a name that is too long: it would not even fit into the report.

    ``reference``: whether the object refers to its owner, and blocks a foreground deletion of it. An owner that stays
    until its objects are deleted in order is not blocked: garbage collection follows no order.
    """
    written = manifest.ref
    if len(written.name) > LONGEST_NAME:
        msg = f"metadata.name has {len(written.name):,} characters, but at most {LONGEST_NAME} are allowed"
        raise errors.RenderError(msg, place=str(manifest.locate(("metadata", "name")) or ""))
    namespace = _namespace(written, owner, kind)
    ref = interfaces.ObjectRef(written.api_version, written.kind, namespace, written.name)
    directives = _directives(manifest, ref)
    body = {
        **manifest.data,
        "metadata": _metadata(
            manifest.data["metadata"], ref, owner, refer=reference != "none" and not directives.orphan
        ),
    }
    if ref.kind == "Secret" and ref.api_version == "v1":
        _fold_string_data(body)
    body["metadata"]["annotations"][labels.UNIT] = unit
    encoded = _encode(body, ref)
    digest = hashlib.blake2b(encoded, digest_size=12).hexdigest()
    body["metadata"]["annotations"][labels.HASH] = digest
    if reference == "blocking":
        _hold_back(body["metadata"], owner)  # not in the digest: the cluster decides whether it is allowed
    path = paths.item(ref.api_version, kind.plural, ref.namespace, ref.name)
    return Desired(ref, kind, body, path, digest, manifest, unit, directives, keys)


def _directives(manifest: interfaces.Manifest, ref: interfaces.ObjectRef) -> Directives:
    """Return the directives in an object's annotations; raises RefusedError for invalid values."""
    written = _mapping(manifest.data["metadata"], "annotations", ref)

    def one_of(key: str, *choices: str) -> interfaces.Anything:
        value = written.get(key, "")
        if value != "" and value not in choices:
            place = str(manifest.locate(("metadata", "annotations", key)) or "")
            shown = errors.shorten(str(value), 40)
            raise errors.RenderError(f"{key}: {shown!r} is not one of {', '.join(choices)}", place=place)
        return value

    wave = str(written.get(labels.WAVE, "0"))
    if not wave.lstrip("-").isdecimal() or len(wave) > 6:  # noqa: PLR2004 - far more waves than needed
        place = str(manifest.locate(("metadata", "annotations", labels.WAVE)) or "")
        raise errors.RenderError(f"{labels.WAVE}: must be a whole number in quotes", place=place)
    return Directives(
        wave=int(wave),
        adopt=one_of(labels.ADOPT, "true", "false") == "true",
        create_only=one_of(labels.CREATE_ONLY, "true", "false") == "true",
        orphan=one_of(labels.ON_DELETE, "orphan", "delete") == "orphan",
        recreate=one_of(labels.RECREATE, "true", "false") == "true",
        conflicts=one_of(labels.CONFLICTS, "fail", "force", "yield"),
    )


def explain(desired: Desired, error: errors.LostromosError) -> interfaces.ObjectResult:
    """Return a failed request as a result that names the field, the line of the template, and the expression."""
    message, place = str(error), desired.manifest.locate()
    if isinstance(error, errors.ApiError) and error.cause:
        place = desired.manifest.locate(fields.parse(error.cause.field, desired.body)) or place
        message = f"{desired.ref}: {error.cause}"
    if place is not None and place.expression:
        message = f"{message} (from {place.expression})"
    retryable = error.retryable or (isinstance(error, errors.ApiError) and error.status == http.HTTPStatus.NOT_FOUND)
    return interfaces.ObjectResult(
        desired.ref, interfaces.Action.FAILED, message, str(place) if place else "", retryable
    )


def _namespace(written: interfaces.ObjectRef, owner: interfaces.Resource, kind: discovery.Kind) -> str:
    if not kind.namespaced:
        if written.namespace:
            msg = f"{written}: {written.kind} is cluster-scoped; remove metadata.namespace"
            raise errors.RefusedError(msg)
        return ""
    namespace = written.namespace or owner.ref.namespace
    if not namespace:
        msg = f"{written}: needs metadata.namespace, since its owner has none"
        raise errors.RefusedError(msg)
    return namespace


def _metadata(
    written: Mapping[str, Any], ref: interfaces.ObjectRef, owner: interfaces.Resource, *, refer: bool
) -> dict[str, Any]:
    metadata = {key: value for key, value in written.items() if key not in _SERVER_FIELDS}
    if ref.namespace:
        metadata["namespace"] = ref.namespace
    metadata["labels"] = {**_mapping(written, "labels", ref), labels.PART_OF: labels.set_id(owner.ref)}
    metadata["annotations"] = {**_mapping(written, "annotations", ref), labels.OWNER: labels.owner_value(owner)}
    if refer and owner.uid and owner.ref.namespace in {"", ref.namespace}:
        reference = {
            "apiVersion": owner.ref.api_version,
            "kind": owner.ref.kind,
            "name": owner.ref.name,
            "uid": owner.uid,
        }
        metadata["ownerReferences"] = [*(written.get("ownerReferences") or ()), {**reference, "controller": True}]
    return metadata


def _hold_back(metadata: Mapping[str, Any], owner: interfaces.Resource) -> None:
    """Make a foreground deletion of the owner wait for the object."""
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("uid") == owner.uid and reference.get("controller"):
            reference[references.BLOCKS] = True


def _mapping(written: Mapping[str, Any], field: str, ref: interfaces.ObjectRef) -> Mapping[str, Any]:
    found = written.get(field) or {}
    if not isinstance(found, dict):
        msg = f"{ref}: metadata.{field} must be a mapping"
        raise errors.RefusedError(msg)
    return found


def _fold_string_data(body: dict[str, Any]) -> None:
    """Move ``stringData`` into ``data``, as the server does: it hides edits and leaves renamed keys behind."""
    texts = body.pop("stringData", None)
    if isinstance(texts, dict):
        encoded = {
            key: base64.b64encode(text.encode()).decode() if isinstance(text, str) else text
            for key, text in texts.items()
        }
        body["data"] = {**(body.get("data") or {}), **encoded}


def _encode(body: Mapping[str, Any], ref: interfaces.ObjectRef) -> bytes:
    try:
        encoded = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, TypeError) as error:
        msg = f"{ref}: cannot be written as JSON: {error}"
        raise errors.RefusedError(msg) from error
    if len(encoded) > MAX_BYTES:
        msg = f"{ref}: has {len(encoded):,} bytes, but etcd takes at most {MAX_BYTES:,}; split it"
        raise errors.RefusedError(msg)
    return encoded
