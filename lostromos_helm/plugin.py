"""Register the applier ``helm`` and the renderer ``helm-template``."""

from __future__ import annotations

from lostromos_core import Backend, ConfigError, ValuesRenderer, hookimpl
from lostromos_helm import applier, renderer, settings


def _template_renderer(options: settings.HelmTemplateOptions) -> renderer.HelmTemplateRenderer:
    chart = options.reference()
    if not chart:
        msg = "renderer helm-template: name a `chart`"
        raise ConfigError(msg)
    values = ValuesRenderer(**options.values.keywords())
    return renderer.HelmTemplateRenderer(chart, values=values, **options.keywords())


@hookimpl
def lostromos_renderers() -> dict[str, Backend]:
    """Register ``helm-template``."""
    return {"helm-template": Backend(settings.HelmTemplateOptions, _template_renderer)}


@hookimpl
def lostromos_appliers() -> dict[str, Backend]:
    """Register ``helm``."""
    return {
        "helm": Backend(
            settings.HelmOptions,
            lambda options: applier.HelmApplier(options.reference(), **options.keywords()),
            renderer="values",
        )
    }
