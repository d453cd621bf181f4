"""Discover which kinds the cluster serves, and how, from the aggregated discovery document, cached in memory.

Two requests (``/api`` and ``/apis``) cover everything. A missing kind is looked up again seconds later, so
that a CustomResourceDefinition that is created later is found. A group whose server does not respond is listed as
stale, without kinds: they may still exist.
Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from typing import TYPE_CHECKING, final

from lostromos_core import errors, interfaces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lostromos_core.kube.transport import client

_ACCEPT = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
)
TOO_OLD = (
    "read the cluster's kinds: the API server does not return aggregated discovery, which Kubernetes has had since "
    "1.27; upgrade it or, if a proxy is in front, let the Accept header through"
)
NEGATIVE_SECONDS = 5.0
"""Seconds for which a missing kind is not looked up again."""


UNAVAILABLE = "GroupUnavailable"
"""Reason of the error for a group whose server does not respond."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """Describe how the cluster serves one kind."""

    api_version: str
    name: str
    plural: str
    namespaced: bool
    verbs: frozenset[str]
    subresources: frozenset[str]

    @property
    def group(self) -> str:
        """Return the API group; empty for the core group."""
        return interfaces.group_of(self.api_version)

    @property
    def group_kind(self) -> tuple[str, str]:
        """Return group and kind: the same for every version of the group."""
        return self.group, self.name


@final
class NoSuchKindError(errors.ApiError):
    """Raised when the cluster does not currently serve a kind."""

    def __init__(self, api_version: str, kind: str, other: str = "") -> None:
        hint = "apply its CustomResourceDefinition" if "/" in api_version else "check the spelling"
        hint = f"it has one in {other}: write that instead" if other else hint
        super().__init__(
            f"the cluster has no kind {kind} in {api_version}; {hint}", status=404, reason="NoSuchKind", retryable=True
        )


@final
class Discovery:
    """Look up the kinds of one cluster."""

    def __init__(self, kube: client.Transport, clock: Callable[[], float]) -> None:
        self._kube = kube
        self._clock = clock
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._by_group: dict[tuple[str, str], Kind] = {}
        self._stale: frozenset[str] = frozenset()
        self._missing: dict[tuple[str, str], float] = {}
        self._read_at = float("-inf")
        self._digest = ""
        self._reading = asyncio.Lock()

    async def kind(self, api_version: str, kind: str) -> Kind:
        """Return how a kind is served; raises NoSuchKindError, or ApiError if discovery fails."""
        found = self._kinds.get((api_version, kind))
        if found is None:
            async with self._reading:
                if (api_version, kind) not in self._kinds and self._clock() - self._read_at > NEGATIVE_SECONDS:
                    await self._read()
            found = self._kinds.get((api_version, kind))
        if found is None:
            self._refuse_stale(interfaces.group_of(api_version), kind)
            other = self._by_group.get((interfaces.group_of(api_version), kind))
            raise NoSuchKindError(api_version, kind, other.api_version if other else "")
        return found

    async def in_any_version(self, api_version: str, kind: str) -> Kind:
        """Return how a kind is served in this version or, if that is not served, in another one of its group.

        An object exists in all versions of its kind. Raises NoSuchKindError if none is served, ApiError if discovery
        fails.
        """
        try:
            return await self.kind(api_version, kind)
        except NoSuchKindError:
            found = await self.by_group_kind(interfaces.group_of(api_version), kind)
            if found is None:
                raise
            return found

    def known(self, api_version: str, kind: str) -> Kind | None:
        """Return how a kind is served, from the cache only; None if it is not cached."""
        return self._kinds.get((api_version, kind))

    def is_absent(self, api_version: str, kind: str) -> bool:
        """Return whether a kind was missing when the cluster was last asked, a moment ago."""
        fresh = self._clock() - self._read_at <= NEGATIVE_SECONDS
        stale = interfaces.group_of(api_version) in self._stale
        return fresh and not stale and (api_version, kind) not in self._kinds

    async def by_group_kind(self, group: str, kind: str) -> Kind | None:
        """Return how a kind is served in any version of its group, None if it is not; raises ApiError."""
        if (group, kind) not in self._by_group and self._clock() - self._read_at > NEGATIVE_SECONDS:
            async with self._reading:
                if (group, kind) not in self._by_group and self._clock() - self._read_at > NEGATIVE_SECONDS:
                    await self._read()
        found = self._by_group.get((group, kind))
        if found is None:
            self._refuse_stale(group, kind)
        return found

    def missing_for(self, group: str, kind: str) -> float:
        """Return for how many seconds a kind has been missing, counted from the first call; 0 if it was found."""
        if (group, kind) in self._by_group:
            return 0.0
        return self._clock() - self._missing.setdefault((group, kind), self._clock())

    async def everything(self, *, seconds: float) -> tuple[Sequence[Kind], frozenset[str]]:
        """Return all kinds, read at most ``seconds`` before this call, and the groups whose server does not respond.

        Calls that wait for each other share one reading. Raises ApiError.
        """
        oldest = self._clock() - seconds
        async with self._reading:
            if self._read_at < oldest:
                await self._read()
        return list(self._kinds.values()), self._stale

    @property
    def digest(self) -> str:
        """Return a digest of all kinds, and of how they are served."""
        if not self._digest:
            served = sorted((one.api_version, one.name, one.plural, one.namespaced) for one in self._kinds.values())
            self._digest = hashlib.blake2b(repr(served).encode(), digest_size=12).hexdigest()
        return self._digest

    def look_again(self) -> None:
        """Ask the cluster again at the next lookup, since it now serves more kinds."""
        self._read_at = float("-inf")

    def _refuse_stale(self, group: str, kind: str) -> None:
        """Raise ApiError if the group's server does not respond: its kinds are unknown then."""
        if group in self._stale:
            msg = f"the API group {group}, with the kind {kind}, is not available: its server does not respond"
            raise errors.ApiError(msg, status=503, reason=UNAVAILABLE)

    def forget(self, api_version: str, kind: str) -> None:
        """Forget a kind after the cluster returned 404 for it, and ask again at the next lookup."""
        if self._kinds.pop((api_version, kind), None):
            self._digest = ""
            self._by_group.pop((interfaces.group_of(api_version), kind), None)
            self._read_at = float("-inf")

    async def _read(self) -> None:
        begun = self._clock()
        kinds: dict[tuple[str, str], Kind] = {}
        stale: set[str] = set()
        for path in ("/api", "/apis"):
            answer = await self._kube.request("GET", path, action="read the cluster's kinds", accept=_ACCEPT)
            if not isinstance(answer, dict) or answer.get("kind") != "APIGroupDiscoveryList":
                raise errors.ApiError(TOO_OLD, status=200, reason="NoAggregatedDiscovery")
            for kind in _kinds(answer):
                kinds[kind.api_version, kind.name] = kind
            stale.update(_stale_groups(answer))
        self._kinds, self._stale = kinds, frozenset(stale)
        # The first version is the preferred one of the group.
        self._by_group = {one.group_kind: one for one in reversed(kinds.values())}
        self._missing = {kind: since for kind, since in self._missing.items() if kind not in self._by_group}
        self._read_at, self._digest = begun, ""


def _stale_groups(answer: interfaces.Json) -> Iterator[str]:
    """Yield the groups with a version whose kinds could not be read."""
    for group in answer.get("items") or []:
        if any(version.get("freshness") == "Stale" for version in group.get("versions") or []):
            yield group.get("metadata", {}).get("name", "")


def _kinds(answer: interfaces.Json) -> Iterator[Kind]:
    for group in answer.get("items") or []:
        name = group.get("metadata", {}).get("name", "")
        for version in group.get("versions") or []:
            api_version = f"{name}/{version['version']}" if name else version["version"]
            for resource in version.get("resources") or []:
                kind = (resource.get("responseKind") or {}).get("kind")
                if kind:
                    yield Kind(
                        api_version,
                        kind,
                        resource["resource"],
                        resource.get("scope") == "Namespaced",
                        frozenset(resource.get("verbs") or ()),
                        frozenset(sub["subresource"] for sub in resource.get("subresources") or ()),
                    )
