"""A plug-in for Lostrómos: the watcher ``sites``, for which the items of an HTTP API are resources."""

from __future__ import annotations

import pydantic

from lostromos_core import Backend, Options, hookimpl
from lostromos_sites.watcher import SitesWatcher

__all__ = ["SitesOptions", "SitesWatcher", "lostromos_watchers"]


class SitesOptions(Options):
    """Watch the sites of an HTTP API."""

    url: str = pydantic.Field(
        pattern=r"^https?://[^\s?#@]+$", description="Where the API is; its list is at URL/sites. No credentials."
    )
    interval: float = pydantic.Field(default=10.0, gt=0, description="Seconds between two looks at the list.")
    timeout: float = pydantic.Field(default=10.0, gt=0, description="Seconds that an answer may take.")


@hookimpl
def lostromos_watchers() -> dict[str, Backend]:
    """``watch: {sites: ...}``."""
    return {"sites": Backend(SitesOptions, lambda options: SitesWatcher(**dict(options)))}
