"""Replace API versions that the cluster no longer serves: the same objects exist in one that it does serve.

Helm looks for a release's objects in the versions that its manifest names, so it can neither upgrade nor uninstall such
a release. The stored release is then rewritten, as by ``helm mapkubeapis``: only the versions change.
Source: https://helm.sh/docs/topics/kubernetes_apis/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import structlog
import yaml

from lostromos_core import errors
from lostromos_core.kube.kinds import discovery
from lostromos_core.kube.transport import encoding, media_types, paths
from lostromos_helm.helm import goyaml
from lostromos_helm.release import seals, storage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lostromos_core import interfaces
    from lostromos_core.kube import cluster

_log = structlog.get_logger("lostromos.helm")
_SEPARATOR: Final = re.compile(r"^(---[ \t]*)$", re.MULTILINE)
_SOURCE: Final = re.compile(r"^# Source: .*$", re.MULTILINE)
_Kind = tuple[str, str]
"""An apiVersion and a kind."""


async def renew(kube: cluster.Cluster, seal: seals.Seals, history: Sequence[storage.Revision]) -> bool:
    """Rewrite the revisions that Helm continues from; return whether any named versions that are not served.

    A valid seal is renewed. Raises ApiError, RefusedError.
    """
    await kube.discovery.everything(seconds=0)
    renewed = False
    for revision in reversed(history):
        stored = await storage.load(kube, revision)
        if stored is not None:
            renewed = await _renew(kube, seal, revision, stored) or renewed
        if revision.status == storage.DEPLOYED:
            break
    return renewed


async def _renew(kube: cluster.Cluster, seal: seals.Seals, revision: storage.Revision, stored: storage.Stored) -> bool:
    before = stored.release
    texts = [str(before.get("manifest") or ""), *(str(hook.get("manifest") or "") for hook in seals.hooks_of(before))]
    names = {name for text in texts for part in _SEPARATOR.split(text) for name in _named(_read(part))}
    gone = {name: found for name in names if (found := await _instead(kube, name))}
    if not gone:
        return False
    hooks = before.get("hooks")
    release = {**before, "manifest": rewritten(texts[0], gone)}
    if isinstance(hooks, list):
        release["hooks"] = [
            {**hook, "manifest": rewritten(str(hook.get("manifest") or ""), gone)} if isinstance(hook, dict) else hook
            for hook in hooks
        ]
    labels = {}
    if await seal.proves(revision, before):
        labels = {storage.SEAL: await seal.of(revision, seals.digest_of(release))}
    metadata = stored.secret["metadata"]
    await kube.request_bytes(
        "PATCH",
        paths.item("v1", "secrets", revision.namespace, revision.secret),
        action=f"rewrite the release {revision.namespace}/{revision.name}",
        body={
            "metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"], "labels": labels},
            "data": {"release": storage.encode(release)},
        },
        content_type=media_types.MERGE,
        accept=media_types.METADATA_ONLY,
    )
    _log.info(
        "a release named versions that the cluster no longer serves; it was rewritten",
        release=f"{revision.namespace}/{revision.name}",
        revision=revision.number,
        versions=", ".join(f"{kind} {old} -> {new}" for (old, kind), new in sorted(gone.items())),
    )
    return True


async def _instead(kube: cluster.Cluster, name: _Kind) -> str:
    """Return the version to use instead of one that is gone; empty if it is served, or no other is."""
    try:
        found = await kube.discovery.in_any_version(*name)
    except discovery.NoSuchKindError:
        return ""
    return found.api_version if found.api_version != name[0] else ""


def rewritten(text: str, instead: Mapping[_Kind, str]) -> str:
    """Return a manifest with other versions of some kinds; all other documents stay as they are."""
    parts = _SEPARATOR.split(text)
    return "".join(part if index % 2 else _document(part, instead) for index, part in enumerate(parts))


def _document(text: str, instead: Mapping[_Kind, str]) -> str:
    before = _read(text)
    after = _changed(before, instead)
    if after == before:
        return text
    source = _SOURCE.search(text)
    encoded = encoding.safe_in_yaml(encoding.encode(after, "rewrite a manifest")).decode()
    return "\n".join(["", *([source[0]] if source else []), encoded, ""])


def _read(text: str) -> interfaces.Json:
    try:
        return goyaml.read(text)
    except (yaml.YAMLError, ValueError, RecursionError, errors.LostromosError):
        return None


def _changed(data: interfaces.Json, instead: Mapping[_Kind, str]) -> interfaces.Json:
    """Return an object, or a list of objects, in other versions."""
    if not isinstance(data, dict):
        return data
    found = data
    if (version := instead.get((str(data.get("apiVersion")), str(data.get("kind"))))) is not None:
        found = {**found, "apiVersion": version}
    if isinstance(data.get("items"), list):
        found = {**found, "items": [_changed(item, instead) for item in data["items"]]}
    return found


def _named(data: interfaces.Json) -> Iterator[_Kind]:
    if isinstance(data, dict):
        if isinstance(data.get("apiVersion"), str) and isinstance(data.get("kind"), str):
            yield data["apiVersion"], data["kind"]
        for item in data["items"] if isinstance(data.get("items"), list) else ():
            yield from _named(item)
