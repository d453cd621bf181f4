"""A plug-in in one file: the filter ``slug``, a policy about images, and a log line for each reconcile that fails.

Install it beside Lostrómos (``pip install ./examples/house-rules``), and ``lostromos plugins`` lists it.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from lostromos_core import Manifests, Report, Resource, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_log = logging.getLogger("house-rules")


@hookimpl
def lostromos_template_filters() -> Mapping[str, Callable[..., Any]]:
    """``{{ resource.spec.title | slug }}`` is fit for a name."""
    return {"slug": slug}


@hookimpl
def lostromos_review(resource: Resource, rendered: object) -> str | None:
    """Refuse images whose version can change under the same name."""
    if not isinstance(rendered, Manifests):
        return None
    loose = sorted({image for manifest in rendered.objects for image in images(manifest.data) if is_loose(image)})
    return f"{resource.ref.name}: images need a fixed version: {', '.join(loose)}" if loose else None


@hookimpl
def lostromos_reconciled(controller: str, key: str, report: Report | None) -> None:
    """Say what failed; a real one would count it for a monitoring system."""
    if report is not None and not report.ready:
        _log.warning("%s %s: %s", controller, key, report.reason)


@hookimpl
def lostromos_unreadable(controller: str, key: str, reason: str) -> None:
    """Say what could not even be read."""
    _log.error("%s %s: %s", controller, key, reason)


def slug(text: str) -> str:
    """Lower-case letters, digits and single ``-``."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def images(data: Any) -> Iterator[str]:  # noqa: ANN401 - plain data
    """All values of ``image`` below a node."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "image" and isinstance(value, str):
                yield value
            yield from images(value)
    elif isinstance(data, list):
        for item in data:
            yield from images(item)


def is_loose(image: str) -> bool:
    """Whether an image has no version, or the version ``latest``."""
    _, _, tag = image.rpartition("/")[2].partition(":")
    return "@" not in image and tag in {"", "latest"}
