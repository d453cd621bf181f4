"""Warn about names of an earlier version, which still work for a while."""

import warnings
from typing import Final

REMOVED_IN: Final = "0.3"
"""Version in which the names of 0.1 are removed."""


def warn(old: str, new: str) -> None:
    """Warn the caller's caller that it uses a name that has changed; ``new`` completes the sentence "... is now"."""
    what = f"{old} is now {new}; the old name will be removed in {REMOVED_IN}"
    warnings.warn(what, DeprecationWarning, stacklevel=3)
