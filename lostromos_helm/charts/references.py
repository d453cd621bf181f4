"""Parse chart references (folders, archives, repositories, registries) and check those that resources name."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from typing import TYPE_CHECKING, Final, final

from lostromos_core import errors

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Sequence

_REMOTE: Final = re.compile(
    r"(?P<scheme>oci|https?)://(?P<where>[^\s@]+)/(?P<name>[A-Za-z0-9][\w.-]*):(?P<version>[^\s:@/]+)"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_REPOSITORY: Final = re.compile(r"(?:oci|https?)://[^\s@]+")
_USER: Final = re.compile(r"//[^/\s]*@")
"""A user in a URL, with or without a password."""
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
"""A chart's name, which Helm cannot mistake for an option."""
_EXACT: Final = re.compile(r"v?\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:[+_][0-9A-Za-z.-]+)?")
_WAY_OUT: Final = (
    "write a folder, a .tgz file, oci://REGISTRY/PATH/NAME:VERSION or https://REPOSITORY/NAME:VERSION, with "
    "@sha256:DIGEST at its end if you want it pinned"
)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """Identify a chart: either ``path``, a folder or an archive, or ``name`` and ``version`` in ``repository``.

    ``digest``: the required digest of the archive or of its OCI manifest.
    """

    path: pathlib.Path | None = None
    repository: str = ""
    name: str = ""
    version: str = ""
    digest: str = ""

    @property
    def oci(self) -> bool:
        """Return whether the chart is in an OCI registry."""
        return self.repository.startswith("oci://")

    def __str__(self) -> str:
        """Return the reference as it is written, without the digest."""
        return str(self.path) if self.path else f"{self.repository}/{self.name}:{self.version}"


def parse(text: str, base: pathlib.Path) -> Reference:
    """Parse a written reference; paths are relative to ``base``. Raises ConfigError."""
    if "://" not in text:
        return Reference(path=base / text)
    found = _REMOTE.fullmatch(text)
    if found is None:
        shown = errors.shorten(_USER.sub("//***@", text), 120)
        msg = f"the chart {shown!r} is not a valid reference; {_WAY_OUT}"
        raise errors.ConfigError(msg)
    repository = f"{found['scheme']}://{found['where']}"
    return remote(repository, found["name"], found["version"], found["digest"] or "")


def remote(repository: str, name: str, version: str, digest: str = "") -> Reference:
    """Return a reference to a remote chart; raises ConfigError if a part is invalid or the version is not exact."""
    if not _NAME.fullmatch(name):
        msg = f"no chart can be named {errors.shorten(name, 120)!r}: use letters, digits, '-', '_' and '.'"
        raise errors.ConfigError(msg)
    if not _REPOSITORY.fullmatch(repository):
        # Not repeated: it may contain a password.
        msg = (
            f"the repository of the chart {name} must be oci://HOST/PATH or https://HOST/PATH, without a user or "
            "password: for registries, these go into the file that `registryConfig` names"
        )
        raise errors.ConfigError(msg)
    if not _EXACT.fullmatch(version):
        msg = (
            f"the chart {name} needs an exact version, such as 1.2.3, but {version!r} is not exact: releases would "
            "change whenever a new chart is published"
        )
        raise errors.ConfigError(msg)
    return Reference(repository=repository.rstrip("/"), name=name, version=version, digest=digest)


def chosen(text: str, allowed: Sequence[str], base: pathlib.Path) -> Reference:
    """Return the chart that a resource requests; raises RefusedError unless a pattern allows it.

    Patterns are compared part by part: ``*`` matches anything except a slash, and before the last colon it does not
    restrict versions.
    """
    # Only remote charts have a digest after an @; in a path, @ is an ordinary character.
    plain = text.partition("@")[0] if "://" in text else text
    leads_out = not plain or plain.startswith("/") or ".." in re.split(r"[/\\]", text)
    if leads_out or not any(_fits(plain, one) for one in allowed):
        there = f"allowed: {', '.join(allowed)}" if allowed else "the controller allows none: see its option `allow`"
        msg = f"the chart {errors.shorten(text, 120)!r} is not allowed ({there})"
        raise errors.RefusedError(msg)
    try:
        return parse(text, base)
    except errors.ConfigError as error:
        raise errors.RefusedError(str(error)) from error


def _fits(text: str, pattern: str) -> bool:
    parts, wanted = text.split("/"), pattern.split("/")
    if len(parts) != len(wanted) or ("://" in text) != ("://" in pattern):
        return False
    if "://" in text and ":" not in wanted[-1]:
        wanted[-1] += ":*"
    return all(
        part == glob or (part not in {"", "."} and fnmatch.fnmatchcase(part, glob))
        for part, glob in zip(parts, wanted, strict=True)
    )
