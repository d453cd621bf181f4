"""Check a kubeconfig before the official client reads it, whose errors only expose Python internals."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lostromos_core import interfaces

    Named: TypeAlias = Mapping[str, Mapping[str, Any]]

_LISTS = {"clusters": "cluster", "users": "user", "contexts": "context"}


def check(paths: Sequence[pathlib.Path], context: str) -> None:
    """Raise ConfigError if the files are not valid kubeconfigs or lack something that the context needs.

    The first entry of each name wins; without a ``context``, the last ``current-context`` is used.
    """
    found: dict[str, dict[str, Mapping[str, Any]]] = {section: {} for section in _LISTS}
    current = ""
    for path in filter(pathlib.Path.exists, paths):
        data = _read(path)
        current = str(data.get("current-context") or current)
        for section, inner in _LISTS.items():
            found[section] = _named(path, section, data.get(section) or [], inner) | found[section]
    where = f"kubeconfig {':'.join(map(str, paths))} cannot be used"
    chosen = _choose(where, context or current, found["contexts"])
    for inner, section in (("cluster", "clusters"), ("user", "users")):
        name = chosen.get(inner)
        if name not in found[section] and (name or inner == "cluster"):
            msg = f"{where}: the context {context or current!r} names the {inner} {name!r}, which does not exist"
            raise errors.ConfigError(msg)
    server = found["clusters"][chosen["cluster"]].get("server")
    if not isinstance(server, str) or not server.startswith(("https://", "http://")):
        msg = f"{where}: the cluster {chosen['cluster']!r} needs a `server` that begins with https://"
        raise errors.ConfigError(msg)


def _read(path: pathlib.Path) -> Mapping[str, Any]:
    where = f"kubeconfig {path}"
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise errors.ConfigError(f"{where} cannot be read: {(error.strerror or str(error)).lower()}") from error
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise errors.ConfigError(f"{where}{line} cannot be used: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise errors.ConfigError(f"{where} cannot be used: it is not valid YAML, or not UTF-8") from error
    if not isinstance(data, dict):
        msg = f"{where} cannot be used: it must be a mapping with clusters, users and contexts"
        raise errors.ConfigError(msg)
    return data


def _named(path: pathlib.Path, section: str, entries: interfaces.Anything, inner: str) -> dict[str, Mapping[str, Any]]:
    """Return the entries of a list by name."""
    found: dict[str, Mapping[str, Any]] = {}
    for entry in entries if isinstance(entries, list) else [None]:
        name, value = (entry.get("name"), entry.get(inner) or {}) if isinstance(entry, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(value, dict):
            msg = f"kubeconfig {path} cannot be used: `{section}` must be a list of entries with `name` and `{inner}`"
            raise errors.ConfigError(msg)
        found.setdefault(name, value)
    return found


def _choose(where: str, name: str, contexts: Named) -> Mapping[str, Any]:
    """Return the context with this name."""
    there = f"available: {', '.join(sorted(contexts))}" if contexts else "no context is defined"
    if not name:
        raise errors.ConfigError(f"{where}: no `current-context` is set; choose one with --context ({there})")
    if name not in contexts:
        raise errors.ConfigError(f"{where}: there is no context {name!r} ({there}){errors.nearest(name, contexts)}")
    return contexts[name]
