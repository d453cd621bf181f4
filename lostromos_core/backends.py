"""What a plug-in hands over: a model of its options, and how to build a back end of them."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any, final

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


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Backend:
    """A watcher, renderer or applier that a plug-in brings.

    ``options`` is the model of what stands under its name in lostromos.yaml (paths in it are relative to that file:
    see ``relative``); ``build`` makes one of it.
    """

    options: type[Options]
    build: Callable[[Any], Any]
