"""Log lines on standard error: readable text for people, JSON for machines."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import orjson
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

LEVELS = ("debug", "info", "warning", "error")


def configure(*, style: str, level: str) -> None:
    """Set up logging for the process: ``style`` is ``text`` or ``json``."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if style == "json":
        shared += [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(serializer=_dumps)]
    else:
        shared.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_level=False))
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def _dumps(event: Any, default: Callable[[Any], Any] | None = None, **_: Any) -> str:  # noqa: ANN401 - structlog's call
    return orjson.dumps(event, default=default or str).decode()
