"""Keep the module name that ``lookup.lookups`` had in version 0.1."""

import warnings

from lostromos_core.kube.lookup.lookups import Policy

__all__ = ["Policy"]

warnings.warn(
    "lostromos_core.kube.lookups.Policy is now lostromos_core.kube.LookupPolicy; the old name will be removed in 0.3",
    DeprecationWarning,
    stacklevel=2,
)
