"""Renders one template text, for tests of templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jinja2

from lostromos_core import errors
from lostromos_core.templates.sandbox import embed, emission, sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lostromos_core.templates.slots import slots


def environment(**files: str) -> sandbox.Environment:
    """An environment with these files: ``part="..."`` is the file ``part.yaml``."""
    made = sandbox.Environment(jinja2.DictLoader({f"{name}.yaml": text for name, text in files.items()}))
    made.add_extension(embed.EmbeddedDocument)
    return made


def documents(
    text: str, names: Mapping[str, Any], *, within: sandbox.Environment | None = None
) -> list[slots.Document]:
    """The documents that a template text makes of some names."""
    used = within or environment()
    template = used.from_string(text)
    rendered, values = emission.collect(lambda: "".join(template.root_render_func(template.new_context(dict(names)))))
    return used.programs.fill(rendered, values)


def one(text: str, names: Mapping[str, Any] | None = None, *, within: sandbox.Environment | None = None) -> Any:
    """The data of the only document."""
    (document,) = documents(text, names or {}, within=within)
    return document.data


def refusal(run: Callable[[], object]) -> str | None:
    """What the RenderError says that ``run`` raises, None if it raises none."""
    try:
        run()
    except errors.RenderError as error:
        return error.message
    return None
