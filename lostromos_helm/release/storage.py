"""Read releases as Helm stores them: one Secret per revision, its state in labels, everything else in data.

Secrets are read directly, since a process to read them would cost more than everything else.
Source: https://helm.sh/docs/topics/advanced/#storage-backends
"""

from __future__ import annotations

import base64
import binascii
import collections
import dataclasses
import gzip
import http
import re
import zlib
from typing import TYPE_CHECKING, Any, Final, final

import orjson

from lostromos_core import errors
from lostromos_core.kube.tracking import tracked_objects
from lostromos_core.kube.transport import media_types, operations, paths

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from lostromos_core.kube import cluster

CONTROLLER: Final = "lostromos.dev/controller"
"""Label of a release: the controller that made it."""
OWNER: Final = "lostromos.dev/owner"
"""Label: the owner, as the id that its ApplySet would have."""
INPUT: Final = "lostromos.dev/input"
"""Label: the digest of all inputs."""
REVISION: Final = "lostromos.dev/revision"
"""Label: the revision that these labels were written for. Helm copies labels on later upgrades and rollbacks."""
NAMESPACE: Final = "lostromos.dev/resource-namespace"
NAME: Final = "lostromos.dev/resource"
"""Labels: the resource's namespace and name, if they are valid label values."""
KIND: Final = "lostromos.dev/resource-kind"
"""Label: the resource's kind and group, if that is a valid label value: ``Shop.example.com``."""
HOLDER: Final = "lostromos.dev/holder"
"""Label: the process that made the revision; see ``holders``."""
SEAL: Final = "lostromos.dev/seal"
"""Label: proof that Helm made the contents of the Secret for us; see ``seals``."""
OWN: Final = (CONTROLLER, OWNER, INPUT, REVISION, NAMESPACE, NAME, KIND, HOLDER, SEAL)
REMEMBERED: Final = 20_000
"""Secrets that need not be checked again."""
TYPE: Final = "helm.sh/release.v1"
"""The type of the Secrets that Helm makes."""
LARGEST: Final = 16 * 1024 * 1024
"""Maximum bytes of an unpacked release."""
MOST: Final = 1_000_000
"""Maximum lists, mappings and values in a release, counted by the characters that begin and separate them."""

DEPLOYED: Final = "deployed"
SUPERSEDED: Final = "superseded"
FAILED: Final = "failed"
UNINSTALLING: Final = "uninstalling"
UNINSTALLED: Final = "uninstalled"
_LABEL: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def is_label(text: str) -> bool:
    """Return whether a text is a valid label value."""
    return _LABEL.fullmatch(text) is not None


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Revision:
    """Describe one revision of a release from its Secret's metadata. ``written``: our number for it, 0 if not ours.

    ``key`` and ``kind`` (group and kind) are those of the owner; empty if not known. Anyone who can write the Secret
    can write all of it: nothing here is proof, except a ``seal`` that ``seals`` has checked.
    """

    namespace: str
    name: str
    number: int
    status: str
    controller: str
    owner: str
    digest: str
    written: int
    key: str
    modified: float
    version: int
    secret: str
    kind: tuple[str, str] = ("", "")
    holder: str = ""
    seal: str = ""

    @property
    def ours(self) -> bool:
        """Return whether we made this very revision: others carry our labels too, since Helm copies them."""
        return 0 < self.written == self.number

    @property
    def pending(self) -> bool:
        """Return whether an operation is in progress, or was interrupted."""
        return self.status.startswith("pending-")


def read(metadata: Mapping[str, Any]) -> Revision | None:
    """Return the revision that a Secret's metadata describes; None if it is not a release, or not named like one."""
    labels = metadata.get("labels") or {}
    if not is_releases(metadata) or metadata["name"] != f"sh.helm.release.v1.{labels['name']}.v{labels.get('version')}":
        return None
    owner_name = labels.get(NAME, "")
    owner_namespace = labels.get(NAMESPACE, "")
    kind, _, group = labels.get(KIND, "").partition(".")
    return Revision(
        namespace=metadata.get("namespace") or "",
        name=labels["name"],
        number=tracked_objects.number(labels.get("version", "")),
        status=labels.get("status", ""),
        controller=labels.get(CONTROLLER, ""),
        owner=labels.get(OWNER, ""),
        digest=labels.get(INPUT, ""),
        written=tracked_objects.number(labels.get(REVISION, "")),
        key=f"{owner_namespace}/{owner_name}" if owner_namespace and owner_name else owner_name,
        modified=float(tracked_objects.number(labels.get("modifiedAt") or labels.get("createdAt") or "")),
        version=tracked_objects.number(metadata.get("resourceVersion", "")),
        secret=metadata["name"],
        kind=(group, kind),
        holder=labels.get(HOLDER, ""),
        seal=labels.get(SEAL, ""),
    )


def is_releases(metadata: Mapping[str, Any]) -> bool:
    """Return whether Helm treats a Secret as a revision: it looks at these labels only."""
    labels = metadata.get("labels") or {}
    return labels.get("owner") == "helm" and bool(labels.get("name"))


async def history(kube: cluster.Cluster, namespace: str, name: str) -> AsyncIterator[Revision]:
    """Yield all revisions of a release, regardless of its owner.

    Raises ApiError, and ForgedError if Helm would read a Secret that it has not made.
    """
    async for metadata in secrets_of(kube, namespace, name):
        found = read(metadata)
        if found is None:
            msg = (
                f"the Secret {namespace}/{metadata['name']} has the labels of the release {name}, but Helm did not "
                "make it; delete it"
            )
            raise ForgedError(msg)
        yield found


async def secrets_of(kube: cluster.Cluster, namespace: str, name: str) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the metadata of all Secrets that Helm treats as a release's; raises ApiError."""
    path = paths.collection("v1", "secrets", namespace)
    action = f"read the release {namespace}/{name}"
    async for metadata in operations.pages(kube, path, action=action, labels=f"owner=helm,name={name}"):
        yield metadata


class ForgedError(errors.RefusedError):
    """Raised when a Secret claims to be a release's, and is not."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """Hold a revision with all that Helm stores of it, and the Secret that it came from."""

    release: Mapping[str, Any]
    secret: Mapping[str, Any]


async def load(kube: cluster.Cluster, revision: Revision) -> Stored | None:
    """Load all of a revision; None if it is gone. Raises ApiError, RefusedError if it is damaged or forged."""
    path = paths.item("v1", "secrets", revision.namespace, revision.secret)
    try:
        secret = await kube.request("GET", path, action=f"read the release {revision.namespace}/{revision.name}")
    except errors.ApiError as error:
        if error.status == http.HTTPStatus.NOT_FOUND:
            return None
        raise
    release = decode((secret.get("data") or {}).get("release", ""))
    about = release.get("namespace"), release.get("name"), release.get("version")
    if secret.get("type") != TYPE or about != (revision.namespace, revision.name, revision.number):
        msg = (
            f"the Secret {revision.namespace}/{revision.secret} does not hold the release that it is named after; "
            "another field manager changed it: delete it"
        )
        raise ForgedError(msg)
    return Stored(release, secret)


@final
class Fitting:
    """Check that Secrets hold the revisions that they are named after: Helm relies on what they hold.

    Checked Secrets are remembered by their version.
    """

    def __init__(self, kube: cluster.Cluster) -> None:
        self._kube = kube
        self._seen: collections.OrderedDict[tuple[str, str], int] = collections.OrderedDict()

    async def check(self, history: Sequence[Revision]) -> None:
        """Raise RefusedError if a Secret holds another revision, or cannot be read; raises ApiError."""
        for revision in history:
            if self._seen.get((revision.namespace, revision.secret)) != revision.version:
                await load(self._kube, revision)
                self.saw(revision, revision.version)

    def saw(self, revision: Revision, version: int) -> None:
        """Remember that a Secret of this version holds its revision."""
        key = revision.namespace, revision.secret
        self._seen[key] = version
        self._seen.move_to_end(key)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


def decode(text: str) -> Mapping[str, Any]:
    """Decode what Helm wrote: JSON, compressed, in base64, and in base64 again for the Secret. Raises RefusedError."""
    try:
        inner = base64.b64decode(base64.b64decode(text))
        plain = _unpacked(inner) if inner[:2] == b"\x1f\x8b" else inner
        if sum(map(plain.count, (b"[", b"{", b","))) > MOST:
            raise ValueError("too much")  # noqa: TRY301 - one of many ways to be damaged
        found = orjson.loads(plain)
        if not isinstance(found, dict):
            raise ValueError("no mapping")  # noqa: TRY004, TRY301 - one of many ways to be damaged
    except (ValueError, binascii.Error, OSError, EOFError, zlib.error) as error:
        msg = "the release's Secret cannot be read: it is damaged, or from an unknown version of Helm"
        raise errors.RefusedError(msg) from error
    return found


def _unpacked(packed: bytes) -> bytes:
    """Decompress gzip data, unless it is larger than a release can be; raises ValueError, zlib.error."""
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    plain = unpack.decompress(packed, LARGEST)
    if not unpack.eof or unpack.unused_data:
        raise ValueError("too large, or damaged")
    return plain


def encode(release: Mapping[str, Any]) -> str:
    """Encode a release, as the opposite of ``decode``."""
    return base64.b64encode(base64.b64encode(gzip.compress(orjson.dumps(release), mtime=0))).decode()


async def mark_failed(kube: cluster.Cluster, revision: Revision, description: str) -> None:
    """Mark an interrupted operation as failed, so that Helm continues with the next; raises ApiError.

    Nothing is rolled back or forgotten: the next upgrade starts from the current state.
    """
    stored = await load(kube, revision)
    if stored is None:
        return
    before = stored.release.get("info")
    info = {**(before if isinstance(before, dict) else {}), "status": FAILED, "description": description}
    metadata = stored.secret["metadata"]
    body = {
        "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "labels": {"status": FAILED},
        },
        "data": {"release": encode({**stored.release, "info": info})},
    }
    await kube.request_bytes(
        "PATCH",
        paths.item("v1", "secrets", revision.namespace, revision.secret),
        action=f"recover the release {revision.namespace}/{revision.name}",
        body=body,
        content_type=media_types.MERGE,
        accept=media_types.METADATA_ONLY,
    )


async def let_go(kube: cluster.Cluster, revision: Revision) -> None:
    """Remove our labels from a revision; raises ApiError."""
    try:
        await kube.request_bytes(
            "PATCH",
            paths.item("v1", "secrets", revision.namespace, revision.secret),
            action=f"release the ownership of {revision.namespace}/{revision.name}",
            body={"metadata": {"labels": dict.fromkeys(OWN)}},
            content_type=media_types.MERGE,
            accept=media_types.METADATA_ONLY,
        )
    except errors.ApiError as error:
        if error.status != http.HTTPStatus.NOT_FOUND:
            raise
