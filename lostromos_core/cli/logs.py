"""Write log lines to standard error: readable text for people, JSON for machines.

Lostrómos logs with structlog. Records of plug-ins and libraries from Python's ``logging``, and warnings, look the same.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import orjson
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from lostromos_core import interfaces

LEVELS = ("debug", "info", "warning", "error")


def configure(*, style: str, level: str) -> None:
    """Set up logging for the process: ``style`` is ``text`` or ``json``."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, *_last(style)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    _adopt_foreign(shared, style, number)


def _last(style: str) -> list[Any]:
    """Return the processors that format an event. Tracebacks omit local variables: these may contain secrets."""
    if style == "json":
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [
            structlog.processors.ExceptionRenderer(tracebacks),
            structlog.processors.JSONRenderer(serializer=_dumps),
        ]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_level=False, exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _adopt_foreign(shared: list[Any], style: str, number: int) -> None:
    """Format the records of Python's ``logging`` in the same way."""
    foreign = [*shared, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_last(style)],
            foreign_pre_chain=foreign,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    # At debug, the Kubernetes client logs whole responses, including tokens.
    logging.getLogger("kubernetes").setLevel(max(number, logging.INFO))
    logging.captureWarnings(capture=True)


def _dumps(event: interfaces.Anything, default: Callable[[Any], Any] | None = None, **_: interfaces.Anything) -> str:
    try:
        return orjson.dumps(event, default=default or str).decode()
    except TypeError:  # half a surrogate pair, a huge number, a key that is not a string: json can, slowly
        return json.dumps(event, default=default or str)
