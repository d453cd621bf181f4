"""Plug-ins: what is found, and what is refused with a name."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import types
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import backends, builtin, errors, hookspecs, interfaces, plugins
from tests import fakes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("lostromos_"))


def module(**hooks: Callable[..., Any]) -> types.ModuleType:
    made = types.ModuleType("made")
    for name, function in hooks.items():
        setattr(made, name, hookspecs.hookimpl(function))
    return made


def test_our_own_back_ends_are_found_by_entry_points() -> None:
    registry = plugins.load()
    found = {plugin.name: (plugin.distribution, plugin.provides) for plugin in registry.plugins}
    assert found == {
        "core": ("lostromos-core", ("watcher kubernetes", "renderer jinja", "renderer values")),
        "helm": ("lostromos-helm", ("renderer helm-template", "applier helm")),
        "kubectl": ("lostromos-kubectl", ("applier server-side", "applier kubectl")),
    }
    assert registry.names("applier") == ["helm", "kubectl", "server-side"]
    assert registry.backend("watcher", "kubernetes").options is builtin.KubernetesOptions


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        ("applier", "hlm", "did you mean 'helm'"),
        ("applier", "kubctl", "did you mean 'kubectl'"),
        ("watcher", "x", "available: kubernetes"),
    ],
)
def test_a_missing_back_end_is_named_with_the_way_out(kind: str, name: str, says: str) -> None:
    with pytest.raises(errors.PluginError, match=says):
        plugins.load().backend(kind, name)


def test_a_back_end_of_ours_that_is_not_installed_is_named_with_its_distribution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = [point for point in importlib.metadata.entry_points(group="lostromos") if point.name != "helm"]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: installed)
    with pytest.raises(errors.PluginError, match=r"'helm' is not installed: pip install \./lostromos_helm in a clone"):
        plugins.load().backend("applier", "helm")


def test_a_disabled_plug_in_is_not_even_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = importlib.metadata.EntryPoint("bad", "no.such.module", plugins.GROUP)
    installed = [*importlib.metadata.entry_points(group="lostromos"), broken]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: installed)
    with pytest.raises(errors.PluginError, match="repair or uninstall it, or disable it with -p no:bad"):
        plugins.load()
    registry = plugins.load(disable=["bad", "helm", "not-installed"])
    assert [one.name for one in registry.plugins] == ["core", "kubectl"]
    assert registry.disabled == ("bad", "helm")
    with pytest.raises(
        errors.PluginError, match=r"no plug-in that is loaded provides the applier 'helm'; .*: bad, helm"
    ):
        registry.backend("applier", "helm")
    assert plugins.installed() == ["bad", "core", "helm", "kubectl"]


def test_templates_get_what_plug_ins_bring() -> None:
    registry = plugins.load(
        [
            (
                "mine",
                module(
                    lostromos_template_filters=lambda: {"shout": str.upper},
                    lostromos_template_tests=lambda: {"loud": str.isupper},
                    lostromos_template_functions=lambda: {"answer": 42},
                ),
            )
        ]
    )
    assert (registry.filters, registry.tests, registry.functions) == (
        {"shout": str.upper},
        {"loud": str.isupper},
        {"answer": 42},
    )
    assert registry.plugins[-1].provides == ("filter shout", "test loud", "function answer")


def nothing() -> dict[str, Any]:
    return {}


def no_dict() -> list[str]:
    return ["kubectl"]


def raises() -> Mapping[str, Any]:
    message = "broken"
    raise ZeroDivisionError(message)


@pytest.mark.parametrize(
    ("hooks", "says"),
    [
        ({"lostromos_aplliers": nothing}, "does not fit"),
        ({"lostromos_appliers": lambda wrong: {"a": wrong}}, "does not fit"),
        ({"lostromos_appliers": raises}, "failed to list what it provides: ZeroDivisionError"),
        ({"lostromos_appliers": no_dict}, "must return a dict"),
        (
            {"lostromos_appliers": lambda: {"kubectl": None}},
            "comes from the plug-in .*kubectl.* and the plug-in 'mine'",
        ),
    ],
)
def test_a_plug_in_that_does_not_fit_is_refused_by_name(hooks: dict[str, Callable[..., Any]], says: str) -> None:
    with pytest.raises(errors.PluginError, match=says):
        plugins.load([("mine", module(**hooks))])


def test_a_class_is_no_plug_in() -> None:
    with pytest.raises(errors.PluginError, match="is a class"):
        plugins.load([("mine", fakes.FakeApplier)])


def test_a_plug_in_that_cannot_be_imported_is_named_with_its_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    point = importlib.metadata.EntryPoint("bad", "no.such.module", plugins.GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == plugins.GROUP else [])
    with pytest.raises(errors.PluginError, match=r"'bad' \(unknown\) cannot be imported: ModuleNotFoundError"):
        plugins.load()


def test_policies_are_all_asked_and_one_that_fails_forbids() -> None:
    registry = plugins.load(
        [
            ("a", module(lostromos_review=lambda resource: f"not {resource.ref.name}")),
            ("b", module(lostromos_review=lambda controller, rendered: None if controller and rendered else "?")),
            ("c", module(lostromos_review=lambda: 1 / 0)),
        ]
    )
    found = registry.review("app", fakes.resource("web"), fakes.manifests())
    assert sorted(found) == ["not web", "the policy c failed: ZeroDivisionError"]


def test_a_policy_can_change_neither_what_others_see_nor_what_is_applied() -> None:
    def spoil(resource: interfaces.Resource, rendered: interfaces.Rendered) -> str:
        text = repr((resource.data, rendered))
        resource.data["spec"]["text"] = "spoilt"
        if isinstance(rendered, interfaces.Values):
            rendered.values["a"]["b"] = "spoilt"
        else:
            rendered.objects[0].data["data"]["spoilt"] = "yes"
            assert rendered.objects[0].source is source
        return text

    source = object()
    registry = plugins.load([("a", module(lostromos_review=spoil)), ("b", module(lostromos_review=spoil))])
    manifest = dataclasses.replace(fakes.config_map("web", {"a": "1"}), source=source)  # type: ignore[arg-type]
    for rendered in (fakes.manifests(manifest), interfaces.Values({"a": {"b": 2**70}})):
        item = fakes.resource("web", text="1")
        before = repr((item.data, rendered))
        assert registry.review("app", item, rendered) == [before, before]
        assert repr((item.data, rendered)) == before


def test_everybody_is_told_even_if_one_fails() -> None:
    told: list[str] = []
    registry = plugins.load(
        [
            ("a", module(lostromos_reconciled=lambda key: told.append(f"a {key}"))),
            (
                "b",
                module(
                    lostromos_reconciled=lambda: 1 / 0, lostromos_unreadable=lambda reason: told.append(str(reason))
                ),
            ),
            ("c", module(lostromos_reconciled=lambda report: told.append(f"c {report.reason}"))),
        ]
    )
    registry.tell_reconciled("app", "ns/web", interfaces.Report(ready=True, reason="Applied", message=""), 0.1)
    registry.tell_unreadable("app", "ns/web", "too deep")
    assert sorted(told) == ["a ns/web", "c Applied", "too deep"]


def test_policies_and_notifications_are_listed_and_no_hook_is_forgotten() -> None:
    hooks = module(
        lostromos_template_filters=lambda: {"shout": str.upper},
        lostromos_review=lambda: None,
        lostromos_unreadable=lambda: None,
        lostromos_reconciled=lambda: None,
    )
    (found,) = [plugin for plugin in plugins.load([("mine", hooks)]).plugins if plugin.name == "mine"]
    assert found.provides == ("filter shout", "policy", "notification reconciled", "notification unreadable")
    assert sorted([*plugins._KINDS.values(), *plugins._LISTED.values()]) == HOOKS


def test_every_hook_has_a_contract_and_a_plug_in_that_uses_it() -> None:
    """The other tests of this file use each; this one fails when a hook is added without one."""
    source = __import__("pathlib").Path(__file__).read_text()
    for name in HOOKS:
        assert getattr(hookspecs, name).__doc__.startswith("Called"), name
        assert name in source or name in {"lostromos_watchers", "lostromos_renderers"}, name


def test_relative_paths_in_options_start_at_the_configuration() -> None:
    found = builtin.JinjaOptions.model_validate({"templates": "t"}, context={"base": "/etc/lostromos"})
    assert str(found.templates) == "/etc/lostromos/t"
    assert str(builtin.JinjaOptions(templates="t").templates) == "t"  # type: ignore[arg-type]
    assert issubclass(builtin.JinjaOptions, backends.Options)
