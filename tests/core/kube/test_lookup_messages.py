"""What a template is told that looks up what it may not, or something new each time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, interfaces
from lostromos_core.kube.lookup import lookups
from tests import fakes
from tests.core.kube import test_awaited_kinds

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_secret_needs_the_word_of_the_controller() -> None:
    secret = interfaces.ObjectRef("v1", "Secret", "ns", "a")
    with pytest.raises(errors.RefusedError, match="Secrets may be looked up only if the controller sets"):
        lookups.among([], fakes.resource("web"), lookups.Policy())(secret)


async def test_looking_up_something_new_each_time_has_an_end() -> None:
    cluster, numbers = test_awaited_kinds.Cluster(), itertools.count()
    cluster.asked = -1_000  # it is known of no kind that it is absent
    made = lookups.Lookups(interfaces.Runtime("app", cluster, lambda _: None), lookups.Policy())

    def render(find: Callable[[interfaces.ObjectRef], Any]) -> interfaces.Manifests:
        ref = interfaces.ObjectRef("example.com/v1", f"Kind{next(numbers)}", "ns", "a")
        try:
            find(ref)
        except errors.NotYetError as error:
            return interfaces.Manifests((interfaces.Unit("a.yaml", waiting=error.message),), frozenset({ref}))
        return interfaces.Manifests(())

    with pytest.raises(errors.RenderError, match="looked up something new; look up less"):
        await made.render(fakes.resource("web"), render)
    for task in cluster.tasks:
        task.cancel()
