"""What Helm says when it fails, as one of our errors: what is wrong, where in the chart, and whether to try again.

Helm has no errors that a program can read, so its one line is looked at. It is repeated only after what is secret has
been taken out: the operator's variables and the Secrets that went into the values.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from lostromos_core import process

SHORTEST_SECRET: Final = 4
"""Texts that are shorter are not hidden: they would be found everywhere."""
_PREFIX: Final = re.compile(r"^Error:\s*", re.MULTILINE)
_STAGES: Final = re.compile(
    r"^(?:INSTALLATION|UPGRADE|UNINSTALL|ROLLBACK) FAILED:?\s*|^failed to (?:install|upgrade) CRD.*?:\s*"
)
_TEMPLATE: Final = re.compile(
    r"(?:execution error at \((?P<fail>[^\s()]+?):(?P<fail_line>\d+)(?::\d+)?\):\s*(?P<fail_why>.*)"
    r"|template: (?P<file>[^\s:]+):(?P<line>\d+)(?::\d+)?:\s*(?P<why>.*)"
    r"|parse error at \((?P<parse>[^\s()]+?):(?P<parse_line>\d+)\):\s*(?P<parse_why>.*)"
    r"|YAML parse error on (?P<yaml>\S+?):\s*(?P<yaml_why>.*))",
    re.DOTALL,
)
_INNERMOST: Final = re.compile(r".*\bat (<[^>]*>): (.*)$", re.DOTALL)
_SCHEMA: Final = re.compile(r"values don't meet the specifications of the schema", re.IGNORECASE)
_TOO_LARGE: Final = re.compile(
    r"sh\.helm\.release\.v1\S*\".*(?:Too long|too large)|etcdserver: request is too large", re.DOTALL
)
_FOREIGN: Final = re.compile(
    r"(\w+) \"([^\"]+)\" in namespace \"([^\"]*)\" exists and cannot be imported into the current release"
)


class KilledError(errors.LostromosError):
    """Helm was killed, by whoever: nothing is wrong with the release itself."""

    retryable = True


def explain(done: process.Completed, action: str, secrets: Mapping[str, str]) -> errors.LostromosError:
    """The error of a call that failed. ``secrets``: texts that must not be repeated, and what stands for each."""
    said = hide(_error(done.errors.decode(errors="replace")), secrets)
    for recognise in (_template, _schema, _known):
        found = recognise(said, action)
        if found is not None:
            return found
    if done.status < 0:
        return KilledError(f"{action}: helm was killed by signal {-done.status}")
    if not said:
        return errors.ProcessError(f"{action}: helm ended with status {done.status}, and said nothing")
    return errors.ProcessError(f"{action}: {errors.shorten(said, 500)}")


def hide(text: str, secrets: Mapping[str, str]) -> str:
    """A text without the secrets in it, the longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, secrets[secret])
    return text


def secrets_of(hidden: Iterable[str], written: Any) -> dict[str, str]:  # noqa: ANN401 - any JSON value
    """The hidden texts that the resource's author has not written, each with what stands for it."""
    known = set(_texts(written))
    found = (text for text in hidden if len(text) >= SHORTEST_SECRET)
    return {text: "***" for text in found if not any(text in one for one in known)}


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _error(text: str) -> str:
    """What stands behind the last ``Error:``; warnings before it are left out."""
    parts = _PREFIX.split(text)
    return _STAGES.sub("", parts[-1].strip()) if len(parts) > 1 else ""


def _template(said: str, action: str) -> errors.LostromosError | None:
    """An error in one of the chart's files: the deepest one that is named."""
    found = list(_TEMPLATE.finditer(said))
    if not found:
        return None
    groups = found[-1].groupdict()
    file = next(groups[key] for key in ("fail", "file", "parse", "yaml") if groups[key])
    line = next((groups[key] for key in ("fail_line", "line", "parse_line") if groups[key]), "")
    why = next((groups[key] for key in ("fail_why", "why", "parse_why", "yaml_why") if groups[key]), said)
    if inner := _INNERMOST.match(why):
        why = f"{inner.group(1)}: {inner.group(2)}"
    place = f"{file}:{line}" if line else file
    return errors.RenderError(f"{action}: {errors.shorten(why, 400)}", place=place)


def _schema(said: str, action: str) -> errors.LostromosError | None:
    if not _SCHEMA.search(said):
        return None
    what = said.split(":", 1)[-1]
    return errors.RenderError(f"{action}: the values do not fit the chart's schema: {errors.shorten(what, 400)}")


def _known(said: str, action: str) -> errors.LostromosError | None:
    if _TOO_LARGE.search(said):
        msg = (
            f"{action}: the release is too large: Helm keeps the chart, the values and the manifest in one Secret, and "
            "the cluster takes at most 1 MiB; take files out of the chart (.helmignore), or split it"
        )
        return errors.RefusedError(msg)
    if found := _FOREIGN.search(said):
        msg = (
            f"{action}: {found[1]} {found[3] or ''}{'/' if found[3] else ''}{found[2]} is there and does not belong to "
            "the release; the controller's option `adopt` would take it over"
        )
        return errors.RefusedError(msg)
    for pattern, make in _PATTERNS:
        if re.search(pattern, said):
            return make(f"{action}: {errors.shorten(said, 500)}")
    return None


def _api(status: int, *, retryable: bool) -> Callable[[str], errors.LostromosError]:
    return lambda text: errors.ApiError(text, status=status, retryable=retryable)


_PATTERNS: Final[tuple[tuple[str, Callable[[str], errors.LostromosError]], ...]] = (
    (
        r"cannot re-use a name that is still in use",
        lambda text: errors.ProcessError(f"{text}: somebody else made a release of this name at the same moment"),
    ),
    (r"no matches for kind|ensure CRDs are installed first", _api(404, retryable=True)),
    (
        r"found in Chart\.yaml, but missing in charts/",
        lambda text: errors.RefusedError(f"{text}; run `helm dependency build` on the chart"),
    ),
    (r"error validating data|ValidationError|strict decoding error", _api(422, retryable=False)),
    (r"(?:is|are) forbidden", _api(403, retryable=True)),
    (r"\bis invalid:|Invalid value|admission webhook .* denied", _api(422, retryable=False)),
    (
        r"cluster unreachable|connection refused|connection reset|TLS handshake|no route to host",
        errors.ConnectionFailed,
    ),
    (r"timed out|deadline exceeded|Client\.Timeout", errors.ProcessError),
)
