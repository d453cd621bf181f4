"""The options of appliers and renderers: declared once, the same as keywords for Python, and checked there as well."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import pytest

import lostromos_helm
import lostromos_kubectl
from lostromos_core import errors
from lostromos_helm import settings as helm_settings
from lostromos_helm.charts import chart_cache
from lostromos_kubectl import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from lostromos_core import Options

MODELS = [
    (settings.ServerSideOptions, settings.Keywords),
    (settings.KubectlOptions, settings.KubectlKeywords),
    (helm_settings.HelmOptions, helm_settings.Keywords),
    (helm_settings.HelmTemplateOptions, helm_settings.TemplateKeywords),
]


@pytest.mark.parametrize(("model", "keywords"), MODELS, ids=[model.__name__ for model, _ in MODELS])
def test_the_keywords_are_the_options(model: type[Options], keywords: type) -> None:
    made = model().keywords()
    assert keywords.__annotations__.keys() == made.keys()
    assert model.from_keywords(made) == model()
    assert model.from_keywords({}) == model()


def test_keywords_are_the_options_that_are_given() -> None:
    given = {"conflicts": "yield", "prune_share": 0.5, "ignore": {"Deployment": ["/spec/replicas"]}, "wait": True}
    found = settings.ServerSideOptions.from_keywords(given)
    named = {"conflicts": "yield", "prune": {"share": 0.5}, "ignore": {"Deployment": ["/spec/replicas"]}, "wait": True}
    assert found == settings.ServerSideOptions.model_validate(named)
    access = chart_cache.Access(registry_config="docker.json", plain_http=True)
    chosen = helm_settings.HelmOptions.from_keywords({"access": access, "base": pathlib.Path("/etc"), "prefix": ""})
    assert (chosen.access, chosen.base, chosen.prefix_of("app")) == (access, pathlib.Path("/etc"), "")
    again = helm_settings.HelmOptions.from_keywords(chosen.keywords())
    assert (again.access, again.base) == (access, pathlib.Path("/etc"))
    assert again == chosen


@pytest.mark.parametrize(
    ("make", "given", "says"),
    [
        (
            lostromos_kubectl.ServerSideApplier,
            {"conflicts": "ask"},
            "'conflicts' of ServerSideOptions .*'fail', 'force'",
        ),
        (lostromos_kubectl.ServerSideApplier, {"conflict": "fail"}, "'conflict' of ServerSideOptions .*not permitted"),
        (lostromos_kubectl.ServerSideApplier, {"ignore": {"Deployment": ["replicas"]}}, "'ignore.Deployment.0' of"),
        (
            lostromos_kubectl.ServerSideApplier,
            {"prune_share": 1.5},
            "'share' of PruneOptions .*less than or equal to 1",
        ),
        (lostromos_kubectl.KubectlApplier, {"timeout": 0.0}, "'timeout' of KubectlOptions .*greater than 0"),
        (
            lostromos_helm.HelmApplier,
            {"chart": "app", "history": 0},
            "'history' of HelmOptions .*greater than or equal",
        ),
        (lostromos_helm.HelmApplier, {"chart": "app", "drift": "mend"}, "'drift' of HelmOptions .*'repair', 'warn'"),
        (
            lostromos_helm.HelmTemplateRenderer,
            {"chart": "app", "values": None, "processes": 0},
            "'processes' of HelmTemplateOptions .*greater",
        ),
    ],
)
def test_an_option_that_is_not_valid_is_named(make: Callable[..., object], given: dict[str, Any], says: str) -> None:
    with pytest.raises(errors.ConfigError, match=f"the option {says}"):
        make(**given)
