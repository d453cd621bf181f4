"""The Helm back end: releases with the real Helm, and charts for any other applier.

A resource's values and its chart (``references``, ``charts``) become an order (``orders``). What is to be done about
the release is decided (``plan``) from its Secrets (``storage``, ``releases``) and done by Helm (``making``,
``operations``); what Helm says when it fails becomes an error (``failures``, ``misfits``, ``hiding``). What the release
consists of (``content``) is proven (``seals``), watched (``live``) and repaired (``lookafter``, ``drift``), and in the
end removed (``removal``). The renderer ``template`` takes only what ``confinement`` lets pass.
"""

from lostromos_helm.applier import HelmApplier
from lostromos_helm.template import HelmTemplateRenderer

__all__ = ["HelmApplier", "HelmTemplateRenderer"]
