"""Make releases with the real Helm, and render charts for any other applier.

In the order in which data passes:

- ``settings`` holds the options of an applier or renderer.
- ``charts`` fetches and reads charts.
- ``release`` plans and makes releases.
- ``helm`` runs the real Helm and interprets its output.
- ``objects`` keeps the objects of releases as Helm applied them.
- ``making`` makes a release match its desired state, and ``attempts`` remembers failures.
- ``applier`` is the HelmApplier, which builds on all of these; ``outcomes`` reports its failures.
- ``templating`` renders charts for other appliers; ``renderer`` is the HelmTemplateRenderer.
- ``plugin`` registers both.
"""

from lostromos_helm.applier import HelmApplier
from lostromos_helm.renderer import HelmTemplateRenderer

__all__ = ["HelmApplier", "HelmTemplateRenderer"]
