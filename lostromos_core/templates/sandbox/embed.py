"""Embed documents in strings with ``{% yaml %} ... {% endyaml %}`` and ``{% json %}``, as safely as in the template.

A configuration file inside a ConfigMap is plain text to Kubernetes. If it were a block scalar with expressions in it,
data could add keys to it. Between these tags, it is a template in its own right: parsed, filled and serialized.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import jinja2.ext
import jinja2.nodes
import jinja2.parser

from lostromos_core import errors
from lostromos_core.templates.data import budget
from lostromos_core.templates.filters import filters
from lostromos_core.templates.sandbox import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from lostromos_core.templates.data import tokens

_WRITERS: dict[str, Callable[[object], str]] = {
    "yaml": filters.to_yaml,
    "json": lambda value: filters.to_json(value, 2) + "\n",
}


@final
class EmbeddedDocument(jinja2.ext.Extension):
    """Provide the tags ``yaml`` and ``json``: they must enclose one document, and the result is one string."""

    tags = set(_WRITERS)  # noqa: RUF012 - declared so in the base class

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        """Return one call of ``_write`` with the body as its text."""
        tag = next(parser.stream)
        body = parser.parse_statements((f"name:end{tag.value}",), drop_needle=True)
        call = self.call_method("_write", [jinja2.nodes.Const(tag.value)])
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(tag.lineno)

    def _write(self, tag: str, caller: Callable[[], tokens.Fragment]) -> str:
        environment = self.environment
        assert isinstance(environment, sandbox.Environment)  # noqa: S101 - for the type checker
        documents = environment.programs.fill(caller().written(), budget.current.get())
        if len(documents) != 1:
            msg = f"{{% {tag} %}} takes one document, but got {len(documents)}"
            raise errors.RenderError(msg)
        return str.__str__(_WRITERS[tag](documents[0].data))
