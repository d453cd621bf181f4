"""The options of the appliers are declared for lostromos.yaml, as keywords, and as settings: all say the same."""

import dataclasses
from typing import Any

import pytest

from lostromos_helm import plugin as helm_plugin
from lostromos_helm import settings as helm_settings
from lostromos_kubectl import plugin, settings


@pytest.mark.parametrize(
    ("keywords", "made", "given"),
    [
        (settings.Keywords, settings.Settings(), plugin.ServerSideOptions().keywords()),
        (
            helm_settings.Keywords,
            helm_settings.Settings(),
            {
                name: getattr(helm_plugin.HelmOptions(), name)
                for name in helm_settings.Keywords.__annotations__
                if name not in {"access", "base"}
            },
        ),
    ],
    ids=["server-side", "helm"],
)
def test_an_option_is_the_same_everywhere(keywords: type, made: Any, given: dict[str, Any]) -> None:
    fields = {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}
    assert keywords.__annotations__.keys() == fields.keys()
    assert given == {name: value for name, value in fields.items() if name not in {"access", "base"}}
