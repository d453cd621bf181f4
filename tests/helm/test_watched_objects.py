"""What is known of the objects of releases, as their watches bring them."""

from typing import Any

from lostromos_core import errors
from lostromos_core.kube import cluster as clusters
from lostromos_core.kube.kinds import discovery
from lostromos_core.kube.transport import client
from lostromos_helm.objects import watched_objects


def kind(version: str, name: str) -> discovery.Kind:
    return discovery.Kind(f"example.com/{version}", name, f"{name.lower()}s", True, frozenset(), frozenset())  # noqa: FBT003 - namespaced


def item(name: str) -> dict[str, Any]:
    annotations = {watched_objects.RELEASE: "web", watched_objects.NAMESPACE: "ns"}
    return {"metadata": {"name": name, "namespace": "ns", "uid": name, "annotations": annotations}}


def test_a_version_that_one_kind_lost_is_not_lost_for_another_of_its_group() -> None:
    live = watched_objects.WatchedObjects(clusters.Cluster(client.Client("/nowhere")), lambda _place: None)
    handlers = {}
    for version, name in (("v1beta1", "App"), ("v1beta1", "Db"), ("v1", "App"), ("v1", "Db")):
        made = watched_objects._Handler(live, kind(version, name), "ns")
        live._handlers[made.kind.api_version, made.kind.plural, "ns"] = handlers[version, name] = made
    handlers["v1beta1", "App"].changed(item("app"))
    handlers["v1beta1", "Db"].changed(item("db"))
    handlers["v1beta1", "App"].trouble(errors.ApiError("not found", status=404))
    handlers["v1", "Db"].synced()
    handlers["v1", "App"].synced()
    assert live.get(("example.com", "App", "ns", "app")) is None
    assert live.get(("example.com", "Db", "ns", "db")) is not None
