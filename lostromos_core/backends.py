"""Define what a plug-in provides: a model of its options, and a function that builds a back end from them."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, final

import pydantic

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Options(pydantic.BaseModel):
    """Define the base of a back end's options: strict, with no unknown keys."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, object]) -> Self:
        """Return options for the keyword arguments of a constructor, by field name; raises ConfigError."""
        try:
            return cls.model_validate(keywords, by_alias=False, by_name=True)
        except pydantic.ValidationError as error:
            found = error.errors(include_url=False)[0]
            option = ".".join(str(part) for part in found["loc"])
            msg = f"the option {option!r} of {cls.__name__} is not valid: {found['msg']}"
            raise errors.ConfigError(msg) from None

    def keywords(self) -> dict[str, Any]:
        """Return the options as keyword arguments of a constructor, by field name."""
        return dict(self)


def relative(path: pathlib.Path, info: pydantic.ValidationInfo) -> pathlib.Path:
    """Validate a path in options: make it relative to the folder of the configuration file."""
    base = (info.context or {}).get("base", pathlib.Path())
    return pathlib.Path(base) / path


def _given(path: object) -> object:
    if path == "":
        raise ValueError("expected a path, relative to the configuration file")
    return path


RelativePath = Annotated[pathlib.Path, pydantic.BeforeValidator(_given), pydantic.AfterValidator(relative)]
"""A path in the configuration, relative to its file."""
Pointer = Annotated[str, pydantic.StringConstraints(pattern=r"^(/[^/]+)+$")]
"""A JSON pointer to a field of an object, such as /spec/replicas."""
InventoryNamespace = Annotated[
    str,
    pydantic.Field(
        alias="inventoryNamespace",
        description="For resources that are not Kubernetes objects: where ConfigMaps record what was applied.",
    ),
]
"""The option ``inventoryNamespace`` of appliers."""


@final
class OptionError(errors.ConfigError):
    """Raised when an option has a value that a back end cannot be built with."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


def expect(path: pathlib.Path, what: Literal["folder", "file"], *, field: str) -> None:
    """Raise OptionError unless the path in a field of the options is a folder, or a file."""
    if not (path.is_dir() if what == "folder" else path.is_file()):
        problem = f"is not a {what}" if path.exists() else "does not exist"
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
        """Return the options as keyword arguments of the renderer's constructor."""
        return {**super().keywords(), "template": self.template or ""}


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Backend:
    """Describe a watcher, renderer or applier that a plug-in provides.

    ``options`` is the model of the options under its name in lostromos.yaml (paths in it are relative to that file: see
    ``relative``); ``build`` creates the back end from them. ``renderer``, of an applier, is the default renderer for
    controllers that name none.
    """

    options: type[Options]
    build: Callable[[Any], Any]
    renderer: str = ""
