"""Decide whether recreating an object that cannot be changed would make it match its rendering.

Only the API server knows which fields are immutable: by its own validation, the rules of a custom kind, policies and
webhooks. So ask it: what is refused as a change, and accepted as a new object (in a dry run, under another name), can
be achieved by recreation. Nothing else is ever deleted for it.
"""

from __future__ import annotations

import http
import re
import secrets
from typing import TYPE_CHECKING, Any, Final, TypeGuard, final

from lostromos_core import errors
from lostromos_core.kube.transport import api_errors, media_types, operations, paths
from lostromos_kubectl.writing import sending

if TYPE_CHECKING:
    from lostromos_core.kube import cluster
    from lostromos_kubectl.objects import desired_objects

_IMMUTABLE: Final = re.compile(
    r"immutable|may not change once set|can ?not be changed|may not be changed in an update|cannot change"
    r"|updates to \w+ spec for fields other|updates may not change fields other|updates to \w+ are forbidden"
)
_UNCHANGEABLE: Final = re.compile(
    r"immutable|read.?only|unchangeable"
    r"|(?:can ?not|can't|may not|must not|not allowed to|not|never) be (?:\w+ )?(?:chang|modif|updat|edit|alter)ed"
    r"|(?:can ?not|can't|may not|must not|not allowed to|never) (?:change|modify|update|edit|alter)"
    r"|(?:updat\w+|chang\w+|modif\w+) .{0,40}\b(?:spec|field|data|parameters)\b.{0,80}(?:forbidden|not \w+)"
    r"|(?:after|once|since|at|on|upon) (?:its )?(?:creation|created|set\b)",
    re.IGNORECASE,
)
_FOR_NOW: Final = re.compile(
    r"freeze|frozen|until|during|window|currently|for now|right now|maintenance|lock|temporar|approv|weekend|day\b",
    re.IGNORECASE,
)
"""Messages of policies that forbid changes only for some time: nothing is deleted for them."""
_ITSELF: Final = re.compile(r"already allocated|exceeded quota|already in use|already marked as default|already exists")
"""Errors that prevent a second object, but not recreating the same one."""
_NO_DRY_RUN: Final = re.compile(r"dry ?run", re.IGNORECASE)


@final
class Recreation:
    """Ask the API server whether recreation would help, for one controller's objects."""

    def __init__(self, kube: cluster.Cluster, manager: str) -> None:
        self._kube = kube
        self._query = {**operations.apply_query(manager, force=False), "dryRun": "All"}

    async def would_help(self, write: sending.Write, answer: sending.Answer) -> TypeGuard[errors.ApiError]:
        """Return whether an existing object was refused as a change, and would be accepted as a new object."""
        if not write.uid or not isinstance(answer, errors.ApiError) or not _may_be_immutable(answer):
            return False
        item = write.desired
        name = _another_name(item.ref.name)
        path = paths.item(item.ref.api_version, item.kind.plural, item.ref.namespace, name)
        try:
            await self._kube.request_bytes(
                "PATCH",
                path,
                action=f"try {item.ref} as a new object",
                query=self._query,
                body=_as_new(item, name, blocks=write.blocks),
                content_type=media_types.APPLY,
                accept=media_types.METADATA_ONLY,
            )
        except errors.ApiError as error:
            return _is_in_its_own_way(error) or (_is_unsure(error) and is_known(answer))
        return True


def _may_be_immutable(error: errors.ApiError) -> bool:
    """Return whether an answer may be about the change, rather than about the desired object."""
    if error.status not in {
        http.HTTPStatus.UNPROCESSABLE_ENTITY,
        http.HTTPStatus.FORBIDDEN,
        http.HTTPStatus.BAD_REQUEST,
    } or any(cause.who for cause in error.causes):
        return False
    if api_errors.is_denial(error.message):
        said = api_errors.reason_of_denial(error.message)
        return bool(_UNCHANGEABLE.search(said)) and not _FOR_NOW.search(said)
    return error.status == http.HTTPStatus.UNPROCESSABLE_ENTITY


def _is_in_its_own_way(error: errors.ApiError) -> bool:
    """Return whether a second object was refused only because of its other name, or because of the first one."""
    if not error.causes:
        return bool(_ITSELF.search(error.message))
    return all(cause.field == "metadata.name" or _ITSELF.search(cause.message) for cause in error.causes)


def _is_unsure(error: errors.ApiError) -> bool:
    """Return whether a trial is inconclusive because it could not be made."""
    return error.status == http.HTTPStatus.BAD_REQUEST and bool(_NO_DRY_RUN.search(error.message))


def is_known(error: errors.ApiError) -> bool:
    """Return whether the API server's own message states that a field cannot be changed."""
    said = [cause.message for cause in error.causes] or [error.message]
    return all(map(_IMMUTABLE.search, said))


def _another_name(name: str) -> str:
    """Return a free name that begins like the given one: there may be rules for names, and their length."""
    tail = secrets.token_hex(4)
    return f"{name[: -len(tail)]}{tail}" if len(name) > 2 * len(tail) else f"{name}{tail}"


def _as_new(item: desired_objects.Desired, name: str, *, blocks: bool) -> dict[str, Any]:
    body = sending.Write(item, blocks=blocks).body
    return {**body, "metadata": {**body["metadata"], "name": name}}
