"""Seal releases: a label proves that the contents of a release's Secret are what Helm made for us.

Anyone who can write Secrets in a namespace can write or change what looks like a release there: labels tell where to
look, never what is true. The seal is an HMAC, with a key that only those who run the operator can read.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import http
import os
import pathlib
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, final

import orjson
import structlog

from lostromos_core import errors
from lostromos_core.kube.transport import api_errors, media_types, paths
from lostromos_helm.release import storage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core.kube import cluster

NAME: Final = "lostromos-helm"
"""The Secret with the key, in the operator's own namespace."""
_FIELD: Final = "key"
_SIZE: Final = 32
AGAIN: Final = 600.0
"""Seconds until forbidden sealing is retried, and a key that was not available is looked for again."""
_HOOK: Final = ("name", "kind", "path", "manifest", "events", "weight", "delete_policies")
"""What Helm stores of a hook, except for its last run."""
_IN_CLUSTER: Final = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_GIVEN_UP: Final = api_errors.NO_ACCESS | {http.HTTPStatus.BAD_REQUEST, http.HTTPStatus.UNPROCESSABLE_ENTITY}
"""Status codes that mean that there can be no key: no permission, or no such namespace."""
_log = structlog.get_logger("lostromos.helm")


def own_namespace(kube: cluster.Cluster) -> str:
    """Return the namespace in which the operator itself runs; empty outside of a cluster."""
    if kube.client.kubeconfig or os.environ.get("KUBECONFIG"):
        return ""
    with contextlib.suppress(OSError):
        return _IN_CLUSTER.read_text().strip()
    return ""


def digest_of(release: Mapping[str, Any]) -> str:
    """Return the digest of what Helm acts on: the manifest and the hooks."""
    kept = [{key: hook.get(key) for key in _HOOK} for hook in hooks_of(release)]
    manifest = str(release.get("manifest") or "")
    text = orjson.dumps([manifest, sorted(kept, key=lambda hook: (str(hook["path"]), str(hook["name"])))])
    return hashlib.sha256(text).hexdigest()


def hooks_of(release: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the hooks of a release, as Helm stores them."""
    found = release.get("hooks")
    return [hook for hook in found if isinstance(hook, dict)] if isinstance(found, list) else []


@final
class Seals:
    """Seal and prove releases.

    ``namespace`` is the operator's own, and holds the key; outside of a cluster, ``folder`` holds it.
    """

    def __init__(self, kube: cluster.Cluster, folder: pathlib.Path, namespace: str = "") -> None:
        self._kube = kube
        self._folder = folder
        self._namespace = namespace
        self._key: bytes | None = None
        self._look_at = 0.0
        self._warned = False
        self._denied = 0.0
        self._lock = asyncio.Lock()

    async def proves(self, revision: storage.Revision, release: Mapping[str, Any]) -> bool:
        """Return whether a release still has the contents that were sealed; raises ApiError."""
        if not revision.seal:
            return False
        expected = await self.of(revision, digest_of(release))
        return bool(expected) and hmac.compare_digest(expected, revision.seal)

    async def of(self, revision: storage.Revision, digest: str) -> str:
        """Return the seal of a revision whose contents have this digest; empty without a key. Raises ApiError."""
        key = await self._find_key()
        if key is None:
            return ""
        parts = (revision.namespace, revision.name, str(revision.number), revision.owner, revision.digest, digest)
        return hmac.new(key, orjson.dumps(parts), hashlib.sha256).hexdigest()[:40]

    async def seal(self, revision: storage.Revision, digest: str) -> int:
        """Seal a revision; return its version if its contents have this digest, else 0. Raises ApiError."""
        seal = await self.of(revision, digest)
        if not seal or self._kube.dry_run or time.monotonic() < self._denied:
            return 0
        try:
            answer = await self._kube.request(
                "PATCH",
                paths.item("v1", "secrets", revision.namespace, revision.secret),
                action=f"seal the release {revision.namespace}/{revision.name}",
                body={"metadata": {"labels": {storage.SEAL: seal}}},
                content_type=media_types.MERGE,
            )
        except errors.ApiError as error:
            if error.status == http.HTTPStatus.FORBIDDEN:
                self._denied = time.monotonic() + AGAIN
            raise
        held = storage.decode((answer.get("data") or {}).get("release", ""))
        same = digest_of(held) == digest and held.get("version") == revision.number
        return int(answer["metadata"]["resourceVersion"]) if same else 0

    async def _find_key(self) -> bytes | None:
        async with self._lock:
            if self._key is None and time.monotonic() >= self._look_at:
                self._key = await self._in_secret(self._namespace) if self._namespace else self._in_file()
                self._look_at = time.monotonic() + AGAIN
            return self._key

    async def _in_secret(self, namespace: str) -> bytes | None:
        """Return the key in the operator's namespace, created if missing; None if that is not allowed."""
        path = paths.item("v1", "secrets", namespace, NAME)
        try:
            for _ in range(2):
                try:
                    found = await self._kube.request("GET", path, action="read the key for seals")
                    return _decoded((found.get("data") or {}).get(_FIELD, ""))
                except errors.ApiError as error:
                    if error.status != http.HTTPStatus.NOT_FOUND or self._kube.dry_run:
                        raise
                await self._make(namespace)
        except errors.ApiError as error:
            if error.status not in _GIVEN_UP:
                raise
            if self._kube.dry_run or self._warned:
                return None
            self._warned = True
            _log.warning(
                "releases cannot be sealed, so after a restart their delete hooks are not run; give the operator the "
                f"verbs get and create on secrets in its namespace {namespace}",
                error=str(error),
            )
        return None

    async def _make(self, namespace: str) -> None:
        """Create the Secret with a new key, unless it has just been created."""
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": NAME},
            "data": {_FIELD: base64.b64encode(secrets.token_bytes(_SIZE)).decode()},
        }
        path = paths.collection("v1", "secrets", namespace)
        try:
            await self._kube.request("POST", path, action="make the key for seals", body=body)
        except errors.ApiError as error:
            if error.status != http.HTTPStatus.CONFLICT:
                raise

    def _in_file(self) -> bytes | None:
        path = self._folder / _FIELD
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            scratch = path.with_name(f".{_FIELD}-{os.getpid()}")
            with contextlib.suppress(FileExistsError):
                if not path.exists():
                    scratch.touch(mode=0o600)
                    scratch.write_bytes(secrets.token_bytes(_SIZE))
                    os.link(scratch, path)  # fails if another process was quicker
            scratch.unlink(missing_ok=True)
            found = path.read_bytes()
        except OSError as error:
            _log.warning("releases cannot be sealed", error=f"{path}: {error.strerror}")
            return None
        return found if len(found) == _SIZE else None


def _decoded(text: str) -> bytes | None:
    with contextlib.suppress(binascii.Error, ValueError):
        found = base64.b64decode(text)
        return found if len(found) >= _SIZE else None
    return None
