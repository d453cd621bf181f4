"""Gather the operator's variables from the configured sources: literals, environment, files, the cluster."""

from __future__ import annotations

import base64
import http
import os
from typing import TYPE_CHECKING, Any, Protocol

from lostromos_core import errors
from lostromos_core.configuration import config, yamlfile
from lostromos_core.kube.transport import paths

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping, Sequence

    from lostromos_core.kube import cluster


class Reader(Protocol):
    """Read one object from the cluster, or from a substitute for it."""

    async def __call__(self, kind: str, key: config.ObjectKey) -> Mapping[str, Any]:
        """Return the object; raises ApiError."""


async def gather(
    settings: config.Config, document: config.Document, read: Reader, environ: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return all variables: ``vars``, then the sources; later ones override. Raises ConfigError or ApiError."""
    found = dict(settings.vars)
    for index, source in enumerate(settings.vars_from):
        more = await _read(source, document, ("varsFrom", index), read, os.environ if environ is None else environ)
        if source.under:
            there = found.get(source.under) or {}
            if not isinstance(there, dict):
                msg = f"the variable {source.under} already exists and is not a mapping; choose another name"
                raise document.error(("varsFrom", index, "under"), msg)
            found[source.under] = {**there, **more}
        else:
            found.update(more)
    return found


def from_cluster(kube: cluster.Cluster) -> Reader:
    """Return a Reader of the cluster."""

    async def read(kind: str, key: config.ObjectKey) -> Mapping[str, Any]:
        path = paths.item("v1", f"{kind.lower()}s", key.namespace, key.name)
        found: Mapping[str, Any] = await kube.request("GET", path, action=f"read {kind} {key.namespace}/{key.name}")
        return found

    return read


def from_objects(objects: Sequence[Any]) -> Reader:
    """Return a Reader that finds objects in a sequence of plain data."""

    async def read(kind: str, key: config.ObjectKey) -> Mapping[str, Any]:
        for item in objects:
            metadata = item.get("metadata") or {}
            if (item.get("kind"), metadata.get("namespace"), metadata.get("name")) == (kind, key.namespace, key.name):
                found: Mapping[str, Any] = item
                return found
        msg = f"{kind} {key.namespace}/{key.name} is not among the objects given with --objects"
        raise errors.ApiError(msg, status=http.HTTPStatus.NOT_FOUND)

    return read


async def _read(
    source: config.VarsSource,
    document: config.Document,
    field: tuple[str | int, ...],
    read: Reader,
    environ: Mapping[str, str],
) -> Mapping[str, Any]:
    if source.environment is not None:
        missing = [variable for variable in source.environment.values() if variable not in environ]
        if missing:
            raise document.error((*field, "environment"), f"the environment variable {missing[0]} is not set")
        return {name: environ[variable] for name, variable in source.environment.items()}
    if source.file is not None:
        return _read_file(document.base / source.file, document, (*field, "file"))
    if source.config_map is not None:
        return await _read_data(read, "ConfigMap", source.config_map, document, (*field, "configMap"))
    assert source.secret is not None  # noqa: S101 - the model has checked that one is given
    return await _read_data(read, "Secret", source.secret, document, (*field, "secret"))


async def _read_data(
    read: Reader, kind: str, key: config.ObjectKey, document: config.Document, field: tuple[str | int, ...]
) -> Mapping[str, str]:
    """Return the texts in a ConfigMap or a Secret; raises ConfigError that names it and the key."""
    item = await _read_object(read, kind, key, document, field)
    found = {}
    for part in ("data", "stringData") if kind == "Secret" else ("data",):
        texts = item.get(part) or {}
        if not isinstance(texts, dict):
            raise document.error(field, f"{kind} {key.namespace}/{key.name}: {part} must map names to strings")
        for name, text in texts.items():
            try:
                found[name] = _decode(text) if (kind, part) == ("Secret", "data") else _text(text)
            except ValueError as error:
                what = f"{kind} {key.namespace}/{key.name}: {part}.{name}"
                raise document.error(field, f"{what} {error}") from error
    return found


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise ValueError("must be a text")  # noqa: TRY004 - an error in the data, not in the code
    return text


def _decode(text: object) -> str:
    try:
        return base64.b64decode(_text(text)).decode("utf-8", "replace")
    except ValueError as error:
        raise ValueError("must be base64; plain text goes in stringData") from error


def _read_file(path: pathlib.Path, document: config.Document, field: tuple[str | int, ...]) -> Mapping[str, Any]:
    try:
        found = yamlfile.load(yamlfile.read(path))
    except yamlfile.YamlError as error:
        raise document.error(field, error.at(path)) from error
    data = found[0] if found else {}
    if len(found) > 1 or not isinstance(data, dict):
        raise document.error(field, f"{path} must contain one mapping of names to values")
    return data


async def _read_object(
    read: Reader, kind: str, key: config.ObjectKey, document: config.Document, field: tuple[str | int, ...]
) -> Mapping[str, Any]:
    try:
        return await read(kind, key)
    except errors.ApiError as error:
        if error.status == http.HTTPStatus.NOT_FOUND and key.optional:
            return {}
        if error.retryable and error.status != http.HTTPStatus.FORBIDDEN:
            raise
        hint = (
            "create it, or set `optional: true`"
            if error.status == http.HTTPStatus.NOT_FOUND
            else "the operator must be allowed to get it"
        )
        raise document.error(field, f"{error}; {hint}") from error
