"""Turn Helm's error message into one of our errors: the cause, the place in the chart, and whether to retry.

Helm has no machine-readable errors, so its one-line message is parsed. It is repeated only after secrets have been
removed: the operator's variables and the Secrets used in the values.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lostromos_core import errors
from lostromos_core.kube.transport import api_errors
from lostromos_helm.helm import hiding, misfits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lostromos_core import interfaces, process

_LONGEST: Final = 256 * 1024
"""Bytes of Helm's output that are examined."""
_BEGIN: Final = re.compile(rb"^Error: ", re.MULTILINE)
_PREFIX: Final = re.compile(r"^Error:\s*", re.MULTILINE)
_STAGE: Final = re.compile(r"^Error:\s*(?:INSTALLATION|UPGRADE|UNINSTALL|ROLLBACK) FAILED:?\s*", re.MULTILINE)
_CRD: Final = re.compile(r"^failed to (?:install|upgrade) CRD.*?:\s*")
_ADVICE: Final = re.compile(r"\s*Use --debug flag to render out invalid YAML\s*$")
_PLACE: Final = re.compile(
    r"(?P<end>execution error at \(|parse error at \()(?P<file>[^\n]+?):(?P<line>\d+)(?::\d+)?\):\s*"
    r"|(?P<yaml>YAML parse error on )(?P<yaml_file>[^\n:]+):\s*"
    r"|template: (?P<frame>[^\n:]+):(?P<frame_line>\d+)(?::\d+)?:\s*"
    r"|^(?P<trace>[^\s:][^\n:]*):(?P<trace_line>\d+)(?::\d+)?\n\s+",
    re.MULTILINE,
)
"""A place in a chart, followed by the cause. Helm 3 and 4 write it on one line, and Helm 4 also on several."""
_TPL: Final = "gotpl"
"""Helm's name for the text passed to the function ``tpl``, which is not a file."""
_INNERMOST: Final = re.compile(r"executing \"[^\"]*\" at (<.*?>):\s+(.*)", re.DOTALL)
_TOO_LARGE: Final = re.compile(
    r"sh\.helm\.release\.v1\S*\".*(?:Too long|too large)"
    r"|failed to (?:create|update): Request entity too large|etcdserver: request is too large",
    re.DOTALL,
)
_FOREIGN: Final = re.compile(
    r"(\w+) \"([^\"]+)\" in namespace \"([^\"]*)\" exists and cannot be imported into the current release"
)


class NameTakenError(errors.LostromosError):
    """Raised when an unknown release already has this name."""

    retryable = True


class KilledError(errors.LostromosError):
    """Raised when the Helm process was killed; the release itself is not at fault."""

    retryable = True


def explain(  # noqa: PLR0917 - an explanation needs all of these
    done: process.Completed,
    action: str,
    secrets: hiding.Hidden | Mapping[str, str],
    rendered: interfaces.Values | None = None,
    chart: str = "",
    keys: misfits.Keys | None = None,
) -> errors.LostromosError:
    """Return the error for a call that failed.

    ``secrets`` must not be repeated. ``rendered``: the values passed to Helm, for a chart with this name, whose schema
    defines these ``keys``.
    """
    hidden = hiding.of(secrets)
    said = _error(_cut(done.errors))
    if hidden.withholds:
        return _withheld(_explained(said, done.status, action, rendered, chart, keys), action)
    return _explained(hidden.hide(said), done.status, action, rendered, chart, keys)


def _explained(  # noqa: PLR0917 - as above
    said: str, status: int, action: str, rendered: interfaces.Values | None, chart: str, keys: misfits.Keys | None
) -> errors.LostromosError:
    misfit = misfits.explain(said, rendered, chart, keys)
    if misfit is not None:
        return misfit
    for recognise in (_template, _known):
        found = recognise(said, action)
        if found is not None:
            return found
    if status < 0:
        return KilledError(f"{action}: helm was killed by signal {-status}")
    if not said:
        return errors.ProcessError(f"{action}: helm exited with status {status} and printed nothing")
    return errors.ProcessError(f"{action}: {errors.shorten(said, 500)}")


def _withheld(error: errors.LostromosError, action: str) -> errors.LostromosError:
    """Return the same kind of error, without any of Helm's own text."""
    error.args = (f"{action}: {hiding.WITHHELD}",)
    if isinstance(error, errors.RenderError | errors.ApiError):
        error.message = error.args[0]
    return error


def is_misfit(done: process.Completed) -> bool:
    """Return whether Helm refused the values because they do not match the chart's schema."""
    return misfits.are_meant(_error(_cut(done.errors)))


def hide(text: str, secrets: hiding.Hidden | Mapping[str, str]) -> str:
    """Return the text without the secrets in it; see ``hiding``."""
    return hiding.of(secrets).hide(text)


def secrets_of(hidden: Iterable[str], written: interfaces.Json) -> hiding.Hidden:
    """Return the texts to hide, except those that the resource's author wrote."""
    return hiding.Hidden(hidden, written)


def _cut(printed: bytes) -> str:
    """Return the part of Helm's output to examine: the error itself, or else the end."""
    at = max(0, len(printed) - _LONGEST)
    found = _BEGIN.search(printed)
    if found is not None:
        at = min(at, found.start())
    return printed[at : at + _LONGEST].decode(errors="replace")


def _error(text: str) -> str:
    """Return the text after Helm's ``Error:``, without the warnings and hook logs before it."""
    found = _STAGE.search(text) or _PREFIX.search(text)
    return _ADVICE.sub("", _CRD.sub("", text[found.end() :].strip())) if found else ""


def _template(said: str, action: str) -> errors.LostromosError | None:
    """Return an error in one of the chart's files: the innermost file that is named."""
    place, rest = "", None
    for found in _PLACE.finditer(said):
        file = found["file"] or found["yaml_file"] or found["frame"] or found["trace"]
        line = found["line"] or found["frame_line"] or found["trace_line"]
        if file != _TPL:
            place = f"{file}:{line}" if line else file
        rest = said[found.end() :]
        if found["end"] or found["yaml"]:
            break  # the rest is the text of the chart's author or of the YAML library
    if rest is None:
        return None
    inner = _INNERMOST.match(rest)
    why = f"{inner[1]}: {inner[2]}" if inner else rest
    return errors.RenderError(f"{action}: {errors.shorten(why, 400)}", place=place)


def _known(said: str, action: str) -> errors.LostromosError | None:
    if _TOO_LARGE.search(said):
        msg = (
            f"{action}: the release is too large: Helm keeps the chart, the values and the manifest in one Secret, and "
            "the cluster takes at most 1 MiB; take files out of the chart (.helmignore), or split it"
        )
        return errors.RefusedError(msg)
    if found := _FOREIGN.search(said):
        msg = (
            f"{action}: {found[1]} {found[3] or ''}{'/' if found[3] else ''}{found[2]} exists and does not belong to "
            "the release; the controller's option `adopt` would take it over"
        )
        return errors.RefusedError(msg)
    if api_errors.is_denial(said):
        return _api(403, retryable=True)(f"{action}: {errors.shorten(said, 500)}")
    for pattern, make in _PATTERNS:
        if re.search(pattern, said):
            return make(f"{action}: {errors.shorten(said, 500)}")
    return None


def _api(status: int, *, retryable: bool) -> Callable[[str], errors.LostromosError]:
    return lambda text: errors.ApiError(text, status=status, retryable=retryable)


_PATTERNS: Final[tuple[tuple[str, Callable[[str], errors.LostromosError]], ...]] = (
    (
        r"cannot re-?use a name that is still in use",
        lambda text: NameTakenError(f"{text}: a release already has this name"),
    ),
    (r"failed calling webhook", _api(500, retryable=True)),
    (r"^failed to parse -:", lambda text: errors.RenderError(f"{text}; this is how Helm reads the values")),
    (r"no matches for kind|ensure CRDs are installed first", _api(404, retryable=True)),
    (
        r"found in Chart\.yaml, but missing in charts/",
        lambda text: errors.RefusedError(f"{text}; run `helm dependency build` on the chart"),
    ),
    (
        r"chart requires kubeVersion|^cannot load \S+:|^validation: chart\.",
        lambda text: errors.RefusedError(f"{text}; this chart cannot be used here as it is"),
    ),
    (
        r'\w+ "[^"]+" already exists',
        lambda text: errors.ApiError(
            f"{text}; unless another client has just created it, the chart makes it twice: look for it in two of its "
            "files",
            status=409,
            retryable=True,
        ),
    ),
    (r"error validating data|ValidationError|strict decoding error", _api(422, retryable=False)),
    (r"(?:is|are) forbidden", _api(403, retryable=True)),
    (r"Apply failed with \d+ conflict|the object has been modified", _api(409, retryable=True)),
    (r"\bis invalid:|Invalid value", _api(422, retryable=False)),
    (
        r"cluster unreachable|connection refused|connection reset|TLS handshake|no route to host",
        errors.ConnectionFailed,
    ),
    (r"timed out|deadline exceeded|Client\.Timeout", errors.ProcessError),
)
