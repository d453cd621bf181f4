"""The Helm back end: releases with the real Helm, and charts for any other applier."""

from lostromos_helm.applier import HelmApplier
from lostromos_helm.template import HelmTemplateRenderer

__all__ = ["HelmApplier", "HelmTemplateRenderer"]
