"""Decide whether a kind has definitely been removed from the cluster, and all of its objects with it.

Discovery alone proves nothing: a server that has just started behind a load balancer does not list custom kinds for a
moment, and a group whose server is down lists none. Finalizers are removed based on this decision.
"""

from __future__ import annotations

import http
import time
from typing import TYPE_CHECKING, Final, final

from lostromos_core import errors
from lostromos_core.kube.kinds import discovery
from lostromos_core.kube.transport import operations, paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from lostromos_core.kube.transport import client

DEFINITIONS: Final = ("apiextensions.k8s.io/v1", "customresourcedefinitions")
API_SERVICES: Final = ("apiregistration.k8s.io/v1", "apiservices")
BELIEVE: Final = 5.0
"""Seconds for which an answer is cached: thousands of resources of a kind may ask at once."""
LONG_ENOUGH: Final = 60.0
"""Seconds that a kind must be missing from discovery if we may not read the definitions themselves."""


@final
class Removals:
    """Decide which kinds of a cluster have been removed. Answers are cached for ``BELIEVE`` seconds."""

    def __init__(
        self, kube: client.Transport, kinds: discovery.Discovery, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kube = kube
        self._discovery = kinds
        self._clock = clock
        self._answers: dict[tuple[str, str], tuple[float, bool]] = {}

    async def is_removed(self, group: str, kind: str) -> bool:
        """Return whether a kind is neither served nor defined; False while that is uncertain. Raises ApiError."""
        if await self._discovery.by_group_kind(group, kind) is not None:
            return False
        until, removed = self._answers.get((group, kind), (float("-inf"), False))
        if self._clock() < until:
            return removed
        try:
            removed = not await self._is_defined(group, kind) and not await self._may_be_aggregated(group, kind)
        except errors.ApiError as error:
            if error.status != http.HTTPStatus.FORBIDDEN:
                raise
            return self._discovery.missing_for(group, kind) >= LONG_ENOUGH
        self._answers[group, kind] = self._clock() + BELIEVE, removed
        return removed

    async def elsewhere(self, kind: discovery.Kind) -> discovery.Kind | None:
        """Return how a kind is served, after its path was not found; None if it was removed with all its objects.

        Raises ApiError while that is uncertain.
        """
        group = kind.group
        self._discovery.forget(kind.api_version, kind.name)
        found = await self._discovery.by_group_kind(group, kind.name)
        if found is None:
            if await self.is_removed(group, kind.name):
                return None
            msg = f"the cluster currently serves no version of the kind {kind.name} ({group})"
            raise errors.ApiError(msg, status=503, reason=discovery.UNAVAILABLE)
        if (found.api_version, found.plural, found.namespaced) == (kind.api_version, kind.plural, kind.namespaced):
            msg = f"the API server lists the kind {kind.name} ({kind.api_version}) but does not find its objects"
            raise errors.ApiError(msg, status=503, reason=discovery.UNAVAILABLE)
        return found

    async def _is_defined(self, group: str, kind: str) -> bool:
        """Return whether a CustomResourceDefinition defines a kind; raises ApiError."""
        path = paths.collection(*DEFINITIONS)
        async for metadata in operations.pages(self._kube, path, action="look for the definition of a kind"):
            name = metadata["name"]
            if not name.endswith(f".{group}"):
                continue
            place = paths.item(*DEFINITIONS, "", name)
            try:
                found = await self._kube.request("GET", place, action=f"read the definition {name}")
            except errors.ApiError as error:
                if error.status != http.HTTPStatus.NOT_FOUND:
                    raise
                continue
            if found["spec"]["group"] == group and found["spec"]["names"]["kind"] == kind:
                return True
        return False

    async def _may_be_aggregated(self, group: str, kind: str) -> bool:
        """Return whether another API server serves a group, and does not rule out the kind. Raises ApiError.

        The API server polls aggregated APIs only now and then: until then they are not listed.
        """
        path = paths.collection(*API_SERVICES)
        async for metadata in operations.pages(self._kube, path, action="look for aggregated APIs"):
            name = metadata["name"]
            if name.partition(".")[2] == group and await self._is_silent(name, kind):
                return True
        return False

    async def _is_silent(self, name: str, kind: str) -> bool:
        """Return whether an APIService belongs to another server that does not respond, or that has the kind."""
        try:
            found = await self._kube.request(
                "GET", paths.item(*API_SERVICES, "", name), action=f"read APIService {name}"
            )
            if not found["spec"].get("service"):
                return False
            place = paths.prefix(f"{found['spec']['group']}/{found['spec']['version']}")
            served = await self._kube.request("GET", place, action=f"read the kinds of {name}")
        except errors.ApiError as error:
            return error.status != http.HTTPStatus.NOT_FOUND
        return any(one.get("kind") == kind for one in served.get("resources") or ())
