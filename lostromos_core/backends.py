"""What a plug-in hands over: a model of its options, and how to build a back end of them."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Annotated, Any, Literal, final

import pydantic

if TYPE_CHECKING:
    from collections.abc import Callable


class Options(pydantic.BaseModel):
    """The base of a back end's options: strict, with no unknown keys."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, validate_default=True)


def relative(path: pathlib.Path, info: pydantic.ValidationInfo) -> pathlib.Path:
    """A validator for paths in options: relative to the folder of the configuration file."""
    base = (info.context or {}).get("base", pathlib.Path())
    return pathlib.Path(base) / path


class ValuesOptions(Options):
    """Make the values of a chart."""

    template: Annotated[pathlib.Path, pydantic.AfterValidator(relative)] | None = pydantic.Field(
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
