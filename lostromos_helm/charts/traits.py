"""Find features in the text of a chart that affect how Helm is called for it."""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import TYPE_CHECKING, Final, final

from lostromos_core.kube.tracking import expiry
from lostromos_helm.charts import chart_files

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

KNOWN: Final = 256
"""Charts whose traits are cached; the content of a chart's path never changes."""
_FILE: Final = re.compile(r"(?:.*/)?(?:templates|crds)/.+")
_DEFINITION: Final = re.compile(r"(?:charts/[^/]+/)*crds/.+\.(?:yaml|yml|json)")
_ACTION: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_CHANGING: Final = re.compile(
    r"(?<![\w.$-])(?:rand(?:Alpha|AlphaNum|Numeric|Ascii|Bytes|Int)|shuffle|uuidv4|htpasswd|bcrypt|encryptAES"
    r"|gen(?:PrivateKey|CA|SelfSignedCert|SignedCert)(?:WithKey)?|now|ago)(?![\w:-])"
)
"""Functions whose result differs with each call. Source: https://helm.sh/docs/chart_template_guide/function_list/"""
_TIMED: Final = re.compile(r"(?<![\w.$-])(?:now|ago|gen\w+Cert(?:WithKey)?|genCA(?:WithKey)?)(?![\w:-])")
_LOOKUP: Final = re.compile(r"(?<![\w.$-])lookup(?![\w:-])")
_GROUP: Final = re.compile(r"([a-z0-9-]+(?:\.[a-z0-9-]+)+)/v\d")
_TPL: Final = re.compile(r"(?<![\w.$-])tpl(?![\w:-])")


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Traits:
    """Describe a chart. ``hooks``: it has hooks. ``expires``: it has Jobs that delete themselves.

    ``asks``: it reads which APIs the cluster serves, among them ``groups``. ``looks``: it looks up existing objects in
    order to keep values. ``definitions``: it has a folder ``crds/``. ``changing``: places (file:line) of functions
    whose result differs with each call; ``timed``: some depend on the time. ``tpl``: values may call such functions.
    """

    hooks: bool = False
    expires: bool = False
    asks: bool = False
    groups: frozenset[str] = frozenset()
    looks: bool = False
    definitions: bool = False
    changing: tuple[str, ...] = ()
    timed: bool = False
    tpl: bool = False

    def changes(self, values: bytes) -> bool:
        """Return whether two renderings with the same values may differ."""
        return bool(self.changing) or (self.tpl and b"{{" in values)


@functools.lru_cache(maxsize=KNOWN)
def of(path: pathlib.Path) -> Traits:
    """Return the traits of a cached chart, including its subcharts; raises ConfigError."""
    texts = dict(chart_files.texts(path, lambda name: _FILE.fullmatch(name) is not None))
    templates = {name: text for name, text in sorted(texts.items()) if not _DEFINITION.fullmatch(name)}
    whole = "\n".join(templates.values())
    return Traits(
        hooks="helm.sh/hook" in whole,
        expires=expiry.TTL in whole,
        asks="APIVersions" in whole,
        groups=frozenset(_GROUP.findall(whole)) if "APIVersions" in whole else frozenset(),
        looks=_LOOKUP.search(whole) is not None,
        definitions=len(templates) < len(texts),
        changing=tuple(f"{name}:{number}" for name, text in templates.items() for number in _changing(text)),
        timed=_TIMED.search(whole) is not None,
        tpl=_TPL.search(whole) is not None,
    )


def _changing(text: str) -> Iterator[int]:
    """Yield the numbers of lines with a function whose result differs with each call."""
    for action in _ACTION.finditer(text):
        for found in _CHANGING.finditer(action[0]):
            yield text.count("\n", 0, action.start() + found.start()) + 1
