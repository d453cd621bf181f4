"""Create the definitions in a chart's folder ``crds/`` if the cluster lacks them, and never change them afterwards.

Helm does the same at an install: they belong to no release, since several releases may need the same definitions.
Source: https://helm.sh/docs/chart_best_practices/custom_resource_definitions/
"""

from __future__ import annotations

import asyncio
import hashlib
import http
import re
import time
from typing import TYPE_CHECKING, Any, Final, final

import structlog

from lostromos_core import errors
from lostromos_core.kube.reporting import readiness
from lostromos_core.kube.transport import operations, paths
from lostromos_helm.objects import manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lostromos_core.kube import cluster

_log = structlog.get_logger("lostromos.helm")
KIND: Final = ("apiextensions.k8s.io/v1", "customresourcedefinitions")
PATIENCE: Final = 60.0
"""Seconds to wait until a definition is established, the same as Helm."""
_PAUSE: Final = 0.2
_SEPARATOR: Final = re.compile(r"^---[ \t]*$", re.MULTILINE)
_SOURCE: Final = re.compile(r"# Source: [^/\n]+(?:/charts/[^/\n]+)*/crds/")

_FILE: Final = re.compile(r"^# Source: ([^/\n]+(?:/charts/[^/\n]+)*/crds/\S+)", re.MULTILINE)
ALLOWED: Final = ("apiextensions.k8s.io", "CustomResourceDefinition")


def take_out(text: str) -> tuple[str, str]:
    """Split the output of ``helm template --include-crds``: the files of ``crds/``, which come first, and the rest."""
    end = 0
    for part in _parts(text):
        begins = text[part[0] : part[1]].lstrip()
        if begins.startswith("# Source: ") and not _SOURCE.match(begins):
            break
        end = part[1]
    return text[:end], text[end:]


def files(text: str) -> frozenset[str]:
    """Return the chart's files that contain the definitions."""
    return frozenset(found[1] for found in _FILE.finditer(text))


def _parts(text: str) -> Sequence[tuple[int, int]]:
    """Return the start and end of each document in a text."""
    cuts = [(found.start(), found.end()) for found in _SEPARATOR.finditer(text)]
    starts = [0, *(end for _, end in cuts)]
    return list(zip(starts, [*(start for start, _ in cuts), len(text)], strict=True))


def refuse_more(text: str, defaults: str) -> None:
    """Raise RefusedError for definitions that the chart's defaults do not include: values may enable subcharts."""
    more = files(text) - files(defaults)
    if more:
        msg = (
            f"{min(more)}: the chart contains these definitions only with non-default values; to allow this, "
            "list CustomResourceDefinition.apiextensions.k8s.io in the renderer's `kinds`"
        )
        raise errors.RefusedError(msg)


@final
class Definitions:
    """Create definitions on one cluster."""

    def __init__(self, kube: cluster.Cluster) -> None:
        self._kube = kube
        self._read: dict[bytes, Sequence[manifest.Item]] = {}
        self._lock = asyncio.Lock()

    async def provide(self, text: str) -> None:
        """Create the definitions that the cluster lacks, and wait until they are established.

        Raises RenderError if the text cannot be read, ApiError.
        """
        async with self._lock:
            lacking = [item for item in await self._items(text) if await self._is_lacking(item.data)]
            for item in lacking:
                await self._create(item)
            if lacking and not self._kube.dry_run:
                await self._await(lacking)

    async def _items(self, text: str) -> Sequence[manifest.Item]:
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        if digest not in self._read:
            found = await asyncio.to_thread(manifest.parse, text, "")
            self._read[digest] = [item for item in found if item.ref.kind == "CustomResourceDefinition"]
        return self._read[digest]

    async def _is_lacking(self, definition: Mapping[str, Any]) -> bool:
        group, kind = _serves(definition)
        return await self._kube.discovery.by_group_kind(group, kind) is None

    async def _create(self, item: manifest.Item) -> None:
        name = item.ref.name
        try:
            await self._kube.request(
                "POST",
                paths.collection(*KIND, ""),
                action=f"create {name} of the chart's folder crds/",
                query=operations.apply_query("helm"),
                body=dict(item.data),
            )
        except errors.ApiError as error:
            if error.status == http.HTTPStatus.CONFLICT:
                return
            if error.status == http.HTTPStatus.FORBIDDEN:
                needs = "give the operator the verbs create and get on customresourcedefinitions, or apply it yourself"
                raise errors.ApiError(f"{error}; {needs}", status=http.HTTPStatus.FORBIDDEN, retryable=True) from error
            raise
        _log.info("a definition of the chart's folder crds/ was created", name=name, file=item.file)

    async def _await(self, created: Sequence[manifest.Item]) -> None:
        """Wait until definitions are established; raises ApiError."""
        deadline = time.monotonic() + PATIENCE
        for item in created:
            path = paths.item(*KIND, "", item.ref.name)
            while why := readiness.why_not(await self._kube.request("GET", path, action=f"read {item.ref.name}")):
                if time.monotonic() > deadline:
                    raise errors.ApiError(
                        f"{item.ref.name} of the chart's folder crds/: {why}", status=0, retryable=True
                    )
                await asyncio.sleep(_PAUSE)
        self._kube.discovery.look_again()


def _serves(definition: Mapping[str, Any]) -> tuple[str, str]:
    """Return the group and kind that a definition defines."""
    spec = definition.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    names = spec.get("names")
    return str(spec.get("group") or ""), str((names if isinstance(names, dict) else {}).get("kind") or "")
