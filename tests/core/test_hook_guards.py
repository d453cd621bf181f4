"""Wrappers, order and failures of hook implementations: pluggy calls them, and one that fails spoils nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, hookspecs, interfaces, plugins
from tests import fakes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

hook = hookspecs.hookimpl


class NoTuesday:
    @hook
    def lostromos_review(self) -> str:
        return "not on a Tuesday"


class Transparent:
    @hook(wrapper=True)
    def lostromos_review(self) -> Generator[None, list[str], list[str]]:
        return (yield)


class Lenient:
    @hook(wrapper=True)
    def lostromos_review(self) -> Generator[None, list[str], list[str]]:
        yield
        return []


class Prefixing:
    @hook(wrapper=True)
    def lostromos_review(self, controller: str) -> Generator[None, list[str], list[str]]:
        return [f"{controller}: {one}" for one in (yield)]


class Spoiling:
    @hook(wrapper=True)
    def lostromos_review(self, resource: interfaces.Resource) -> Generator[None, list[str], list[str]]:
        resource.data["spec"]["text"] = "spoilt"
        found = yield
        found.clear()
        resource.data["spec"]["text"] = "spoilt again"
        return found


class RaisesBefore:
    @hook(wrapper=True)
    def lostromos_review(self) -> Generator[None, list[str], list[str]]:
        raise ZeroDivisionError
        yield


class RaisesAfter:
    @hook(wrapper=True)
    def lostromos_review(self) -> Generator[None, list[str], list[str]]:
        yield
        raise ZeroDivisionError


class NoYield:
    @hook(wrapper=True)
    def lostromos_review(self) -> Generator[None, list[str], list[str]]:
        if isinstance(self, int):
            yield
        return []


class NoList:
    @hook(wrapper=True)
    def lostromos_review(self) -> Generator[None, list[str], list[str]]:
        yield
        return None  # type: ignore[return-value]


class TwoYields:
    @hook(wrapper=True)
    def lostromos_review(self) -> Generator[None, list[str], list[str]]:
        yield
        found = yield
        return found


TUESDAY = "not on a Tuesday"


@pytest.mark.parametrize(
    ("wrapper", "expected"),
    [
        (Transparent, [TUESDAY]),
        (Lenient, []),
        (Prefixing, [f"app: {TUESDAY}"]),
        (Spoiling, []),
        (RaisesBefore, [TUESDAY, "the policy w failed: ZeroDivisionError"]),
        (RaisesAfter, [TUESDAY, "the policy w failed: ZeroDivisionError"]),
        (NoYield, [TUESDAY, "the policy w failed: TypeError"]),
        (NoList, [TUESDAY, "the policy w failed: TypeError"]),
        (TwoYields, [TUESDAY, "the policy w failed: TypeError"]),
    ],
)
def test_a_wrapper_gets_the_objections_of_the_others_and_one_that_fails_forbids(
    wrapper: Callable[[], object], expected: list[str]
) -> None:
    registry = plugins.load([("p", NoTuesday()), ("w", wrapper())])
    resource = fakes.resource("web", text="1")
    assert registry.review("app", resource, fakes.manifests()) == expected
    assert resource.data["spec"]["text"] == "1"


def test_a_wrapper_without_an_inner_policy_forbids_nothing() -> None:
    assert plugins.load([("w", Transparent())]).review("app", fakes.resource("web"), fakes.manifests()) == []


def test_implementations_are_called_in_the_order_that_they_ask_for() -> None:
    called: list[str] = []

    def implementation(name: str, **options: Any) -> object:
        class Plugin:
            def lostromos_reconciled(self) -> None:
                called.append(name)

        hook(**options)(Plugin.lostromos_reconciled)
        return Plugin()

    class Around:
        @hook(wrapper=True)
        def lostromos_reconciled(self) -> Generator[None, list[object], list[object]]:
            called.append("before")
            results = yield
            called.append("after")
            return results

    registry = plugins.load(
        [
            ("last", implementation("last", trylast=True)),
            ("around", Around()),
            ("first", implementation("first", tryfirst=True)),
            ("middle", implementation("middle")),
        ]
    )
    registry.tell_reconciled("app", "ns/web", None, 0.0)
    assert called == ["before", "first", "middle", "last", "after"]


def test_a_hook_may_be_implemented_under_another_name() -> None:
    class Named:
        @hook(specname="lostromos_review")
        def only_mondays(self) -> str:
            return "only on Mondays"

    (found,) = plugins.load([("n", Named())]).review("app", fakes.resource("web"), fakes.manifests())
    assert found == "only on Mondays"


class OldStyle:
    @hook(hookwrapper=True)
    def lostromos_review(self) -> Generator[None, Any, None]:
        yield


class WrapsFilters:
    @hook(wrapper=True)
    def lostromos_template_filters(self) -> Generator[None, Any, Any]:
        return (yield)


class Unknown:
    @hook
    def lostromos_reviews(self) -> None: ...


class Async:
    @hook
    async def lostromos_review(self) -> None: ...


class AsyncFilters:
    @hook
    async def lostromos_template_filters(self) -> Any: ...


@pytest.mark.parametrize(
    ("plugin", "says"),
    [
        (Async, "'w' .* does not fit: lostromos_review is `async`; hooks are plain functions"),
        (AsyncFilters, "'w' .* does not fit: lostromos_template_filters is `async`; hooks are plain functions"),
        (OldStyle, "'w' .* does not fit: lostromos_review is an old-style wrapper .* use wrapper=True"),
        (WrapsFilters, "'w' .* does not fit: lostromos_template_filters is a wrapper; only policies"),
        (Unknown, "'w' .* does not fit: .*lostromos_reviews"),
    ],
)
def test_what_cannot_be_called_is_refused_by_name(plugin: Callable[[], object], says: str) -> None:
    with pytest.raises(errors.PluginError, match=says):
        plugins.load([("w", plugin())])


def test_a_plug_in_is_registered_once_and_two_without_hooks_are_two() -> None:
    class Nothing: ...

    twice = NoTuesday()
    with pytest.raises(errors.PluginError, match=r"'b' .* does not fit: .*already registered"):
        plugins.load([("a", twice), ("b", twice)])
    assert [one.name for one in plugins.load([("x", Nothing()), ("y", Nothing())]).plugins][-2:] == ["x", "y"]
