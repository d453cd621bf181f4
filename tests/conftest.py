"""Fixtures for all tests: a real control plane, things fresh in it for each test, and a check for leftovers."""

import contextlib
import functools
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from tests.controlplane import api as apis
from tests.controlplane import binaries, cluster, crds, errors, leaks, waiting
from tests.controlplane import kubelet as kubelets

CLUSTER_FIXTURES: Final = {"control_plane", "own_control_plane"}

CONTROL_PLANE: Final = pytest.StashKey[cluster.ControlPlane]()
"""The session's control plane, once there is one."""

LEFTOVERS_GONE_WITHIN: Final = 2.0
"""Seconds for threads and processes that are about to end when the test does."""


MakeCrd: TypeAlias = Callable[..., crds.CustomKind]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a control plane, before `-m` selects, so that `-m "not cluster"` is the fast suite.

    They come first: they wait for most of their time, and those that compute fill the gaps at the end.
    """
    for item in items:
        if CLUSTER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.cluster)
    items.sort(key=lambda item: item.get_closest_marker("cluster") is None)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the selected tests need before the first of them begins: it takes minutes, and tests are timed."""
    if session.config.option.collectonly:
        return
    clustered = any(item.get_closest_marker("cluster") for item in session.items)
    with_helm = any("helm-4" in item.callspec.params.values() for item in session.items if hasattr(item, "callspec"))
    with _uncaptured(session.config):
        if clustered:
            binaries.provide(controller_manager=True)
        if with_helm:
            binaries.helm4()


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[cluster.ControlPlane]:
    """A control plane with controller manager that all tests of the run (of one xdist worker) share."""
    with cluster.ControlPlane(controller_manager=True) as plane:
        request.config.stash[CONTROL_PLANE] = plane
        yield plane


@pytest.fixture(scope="session", params=["helm-3", "helm-4"])
def helm(request: pytest.FixtureRequest) -> Path:
    """The real Helm, of both major versions."""
    return binaries.helm(request.param)


@pytest.fixture
def own_control_plane() -> Iterator[cluster.ControlPlane]:
    """A control plane without controller manager that the test may kill."""
    with cluster.ControlPlane() as plane:
        yield plane


@pytest.fixture(scope="session")
def api(control_plane: cluster.ControlPlane) -> Iterator[apis.Api]:
    """The shared control plane as its administrator sees it."""
    with apis.Api(control_plane.access()) as admin:
        yield admin


@pytest.fixture
def namespace(api: apis.Api) -> Iterator[str]:
    """A namespace for one test, deleted (without waiting) at its end."""
    name = f"test-{secrets.token_hex(4)}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    _delete(lambda: api.delete(f"/api/v1/namespaces/{name}"))


@pytest.fixture
def make_crd(api: apis.Api) -> Iterator[MakeCrd]:
    """`make_crd(kind, namespaced=..., **options of crds.definition)` makes a kind in a group of its own, and serves it.

    The kinds and all their objects are deleted (without waiting) when the test ends.
    """
    with contextlib.ExitStack() as cleanup:

        def make(kind: str = "WebApp", *, namespaced: bool = True, **definition: Any) -> crds.CustomKind:
            made = crds.CustomKind(group=f"t{secrets.token_hex(4)}.example.com", kind=kind, namespaced=namespaced)
            cleanup.callback(_delete, functools.partial(crds.delete_all, api, made))
            crds.create(api, crds.definition(made, **definition))
            return made

        yield make


@pytest.fixture
def crd(make_crd: MakeCrd) -> crds.CustomKind:
    """A kind of custom resources for one test: namespaced WebApps in a group of its own."""
    return make_crd()


@pytest.fixture(autouse=True)
def _no_leftovers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a child process or a thread behind."""
    before = leaks.Snapshot.take()
    yield
    plane = request.config.stash.get(CONTROL_PLANE, None)
    known = plane.pids if plane else set()
    try:
        waiting.wait_until(lambda: not before.new(known=known), timeout=LEFTOVERS_GONE_WITHIN)
    except TimeoutError:
        pytest.fail(f"the test left behind: {before.new(known=known)}", pytrace=False)


def _uncaptured(config: pytest.Config) -> contextlib.AbstractContextManager[None]:
    """Let the person who waits for minutes see what is said."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()


def _delete(delete: Callable[[], object]) -> None:
    """Delete what the test may have deleted itself."""
    try:
        delete()
    except errors.ApiError as error:
        if error.status != 404:
            raise


@pytest.fixture
def kubelet(api: apis.Api, namespace: str) -> Iterator[kubelets.Kubelet]:
    """Ends the Pods of the test's namespace, and knows the Jobs that there were."""
    with kubelets.Kubelet(api, namespace) as playing:
        yield playing
