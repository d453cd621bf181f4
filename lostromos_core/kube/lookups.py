"""Keep the module name that ``lookup.lookups`` had in version 0.1."""

from lostromos_core import deprecations
from lostromos_core.kube.lookup.lookups import Policy

__all__ = ["Policy"]

deprecations.warn("lostromos_core.kube.lookups.Policy", "lostromos_core.kube.LookupPolicy")
