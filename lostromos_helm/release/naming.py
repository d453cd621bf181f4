"""Name releases: short enough for Helm, and never the same for two resources."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from lostromos_core import interfaces

LONGEST: Final = 53
"""Maximum characters in a release's name. Source: https://helm.sh/docs/chart_template_guide/getting_started"""
_HASH: Final = 8
_ALLOWED: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_HASHED: Final = re.compile(rf".*-[0-9a-f]{{{_HASH}}}")
"""Pattern of names that could have received a hash."""
_FORBIDDEN: Final = re.compile(r"[^a-z0-9]+")


def release_name(prefix: str, owner: interfaces.ObjectRef | interfaces.Resource, namespace: str) -> str:
    """Return ``prefix-name``; with a hash if it would be too long, has other characters, or could be ambiguous.

    ``namespace`` is the release's own: owners in other namespaces may have the same name.
    """
    ref = owner if isinstance(owner, interfaces.ObjectRef) else owner.ref
    plain = f"{prefix}-{ref.name}" if prefix else ref.name
    elsewhere = ref.namespace not in {"", namespace}
    if len(plain) <= LONGEST and _ALLOWED.fullmatch(plain) and not _HASHED.fullmatch(plain) and not elsewhere:
        return plain
    digest = hashlib.sha256(f"{ref.namespace}/{ref.name}".encode()).hexdigest()[:_HASH]
    readable = _FORBIDDEN.sub("-", plain.lower()).strip("-")[: LONGEST - _HASH - 1].rstrip("-")
    return f"{readable}-{digest}" if readable else f"r-{digest}"
