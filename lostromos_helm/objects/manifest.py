"""Parse the objects that Helm renders, and find the chart file that made each."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from typing import TYPE_CHECKING, Any, Final, final

import yaml

from lostromos_core import errors, interfaces
from lostromos_helm.helm import goyaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lostromos_core.kube.tracking import tracked_objects

_SOURCE: Final = re.compile(r"^# Source: (\S.*?)\s*$", re.MULTILINE)
_SEPARATOR: Final = re.compile(r"^---\s*$", re.MULTILINE)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """Hold one object of a manifest: its data, the chart file that made it, and a digest of its text."""

    ref: interfaces.ObjectRef
    data: Mapping[str, Any]
    file: str
    digest: bytes

    @property
    def kept(self) -> bool:
        """Return whether the object stays when the release drops it, or is uninstalled."""
        annotations = self.data["metadata"].get("annotations")
        return isinstance(annotations, dict) and is_kept(annotations)


def is_kept(annotations: Mapping[str, Any]) -> bool:
    """Return whether annotations keep an object. Source: https://helm.sh/docs/howto/charts_tips_and_tricks."""
    return str(annotations.get("helm.sh/resource-policy", "")).strip().lower() == "keep"


def parse(text: str, namespace: str) -> list[Item]:
    """Return the objects of a manifest, by default in the release's namespace: only the cluster knows their scope.

    Raises RenderError that names the chart file.
    """
    found = []
    for part in _SEPARATOR.split(text):
        if not part.strip():
            continue
        source = _SOURCE.search(part)
        file = source.group(1) if source else ""
        try:
            data = goyaml.read(part)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise errors.RenderError(f"not valid YAML: {errors.shorten(str(error), 200)}", place=file) from error
        if data is None:
            continue
        found += [_item(one, namespace, file, part) for one in _flat(data, file)]
    return found


def doubles(items: Iterable[Item]) -> Iterator[tuple[Item, Item]]:
    """Yield each object that occurs again, with its first occurrence."""
    first: dict[tracked_objects.Key, Item] = {}
    for item in items:
        other = first.setdefault(item.ref.key, item)
        if other is not item:
            yield item, other


def _flat(data: interfaces.Anything, file: str) -> list[Any]:
    """Return a document, or the items of a list: anything with ``items``, as in Helm's own library.

    Items of a typed list may omit apiVersion and kind.
    Source: https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1/unstructured, unstructuredJSONScheme.decodeToList
    """
    if not isinstance(data, dict) or not isinstance(data.get("items", ""), list | None):
        return [data]
    kind = {"apiVersion": data.get("apiVersion"), "kind": str(data.get("kind", "")).removesuffix("List")}
    found = []
    for item in data["items"] or ():
        bare = isinstance(item, dict) and not item.get("apiVersion") and not item.get("kind")
        found += _flat({**kind, **item} if bare else item, file)
    return found


def _item(data: interfaces.Anything, namespace: str, file: str, text: str) -> Item:
    metadata = data.get("metadata") if isinstance(data, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if (
        metadata is None
        or not isinstance(name, str)
        or not all(isinstance(data.get(key), str) for key in ("apiVersion", "kind"))
    ):
        raise errors.RenderError("a document is not an object with apiVersion, kind and metadata.name", place=file)
    ref = interfaces.ObjectRef(data["apiVersion"], data["kind"], str(metadata.get("namespace") or namespace), name)
    return Item(ref, data, file, hashlib.blake2b(text.strip().encode(), digest_size=12).digest())
