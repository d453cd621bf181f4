"""The folder for what is made once and used by many checkouts."""

import os
from pathlib import Path


def folder() -> Path:
    """$LOSTROMOS_CACHE, else $XDG_CACHE_HOME/lostromos, else ~/.cache/lostromos; it need not exist."""
    if chosen := os.environ.get("LOSTROMOS_CACHE"):
        return Path(chosen).absolute()
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "lostromos"
