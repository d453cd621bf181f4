"""The Helm back end: releases with the real Helm, and charts for any other applier.

In the order in which data passes:

- ``settings`` are the options of an applier or renderer.
- ``charts`` fetches and reads charts.
- ``release`` plans and makes releases.
- ``helm`` runs the real Helm, and understands what it says.
- ``objects`` keeps the objects of releases as Helm applied them.
- ``making`` brings a release to its desired state, and ``attempts`` remembers what failed.
- ``applier`` is the HelmApplier, which stands on all of these; ``outcomes`` says what went wrong.
- ``templating`` renders charts for other appliers; ``renderer`` is the HelmTemplateRenderer.
- ``plugin`` registers both.
"""

from lostromos_helm.applier import HelmApplier
from lostromos_helm.renderer import HelmTemplateRenderer

__all__ = ["HelmApplier", "HelmTemplateRenderer"]
