"""What a plug-in hands over: a model of its options, and how to build a back end of them."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Annotated, Any, Literal, final

import pydantic

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Callable


class Options(pydantic.BaseModel):
    """The base of a back end's options: strict, with no unknown keys."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, validate_default=True)


def relative(path: pathlib.Path, info: pydantic.ValidationInfo) -> pathlib.Path:
    """A validator for paths in options: relative to the folder of the configuration file."""
    base = (info.context or {}).get("base", pathlib.Path())
    return pathlib.Path(base) / path


def _given(path: object) -> object:
    if path == "":
        raise ValueError("a path is expected here, relative to the configuration file")
    return path


RelativePath = Annotated[pathlib.Path, pydantic.BeforeValidator(_given), pydantic.AfterValidator(relative)]
"""A path that the configuration gives relative to its own file."""


@final
class OptionError(errors.ConfigError):
    """An option has a value that a back end cannot be built with."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


def expect(path: pathlib.Path, what: Literal["folder", "file"], *, field: str) -> None:
    """Raise OptionError unless a path that a field of the options names is a folder, or a file."""
    if not (path.is_dir() if what == "folder" else path.is_file()):
        problem = f"is no {what}" if path.exists() else "does not exist"
        msg = f"the {what} {path} {problem}; create it, or correct the path (relative to the configuration file)"
        raise OptionError(msg, field=field)


class ValuesOptions(Options):
    """Make the values of a chart."""

    template: RelativePath | None = pydantic.Field(
        default=None, description="A template that makes one mapping, relative to the configuration file."
    )
    layout: Literal["resource", "spec"] = pydantic.Field(
        default="resource",
        description="Without a template: resource.{name,namespace,spec}, or the resource's spec as it stands.",
    )
    vars: Literal["no", "below", "above"] = pydantic.Field(
        default="no", description="Whether the operator's vars are merged into the values, below or above them."
    )
    defaults: dict[str, Any] = pydantic.Field(default_factory=dict, description="Values below all others.")
    overrides: dict[str, Any] = pydantic.Field(default_factory=dict, description="Values above all others.")
    status: str = pydantic.Field(
        default="", description="A template beside `template` that makes fields of the resource's status."
    )

    def keywords(self) -> dict[str, Any]:
        """As the renderer's constructor takes them."""
        return {**dict(self), "template": self.template or ""}


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Backend:
    """A watcher, renderer or applier that a plug-in brings.

    ``options`` is the model of what stands under its name in lostromos.yaml (paths in it are relative to that file:
    see ``relative``); ``build`` makes one of it. ``renderer``, of an applier, is the renderer that a controller gets
    which names none.
    """

    options: type[Options]
    build: Callable[[Any], Any]
    renderer: str = ""
