"""Logs: a constant message plus keys and values, for people on a terminal, for machines elsewhere.

``structlog.get_logger(__name__)`` anywhere; ``configure`` once, in the process's entry point.  Logs
go to standard error: standard output belongs to what the command was asked for.  What libraries
log through the standard library (asyncio's "exception was never retrieved", aiohttp, grpc) takes
the same way out, so that a JSON log has no line that is not JSON.
"""

from __future__ import annotations

import datetime as dt
import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog

Format = Literal["auto", "human", "json"]
Level = Literal["debug", "info", "warning", "error"]
WallClock = Callable[[], int]

_LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(
    *,
    clock: WallClock,
    form: Format = "auto",
    level: Level = "info",
    stream: TextIO | None = None,
) -> None:
    """Send all logs of this process to ``stream`` (standard error).

    Args:
        clock: wall clock, nanoseconds since the Unix epoch.
        form: ``human`` lines, ``json`` lines, or ``auto``: human when the stream is a terminal.
        level: the least level that is shown.
        stream: where to.
    """
    out = sys.stderr if stream is None else stream
    human = form == "human" or (form == "auto" and out.isatty())
    ending: list[Any] = [_human(out)] if human else [_tracebacks, _json]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _Timestamp(clock),
            *ending,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,  # the hot path logs nothing, and tests configure often
    )
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(_LEVELS[level])


# Without the values of variables: tokens and people's data may be among them.
_tracebacks: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


class _Timestamp:
    """Adds ``timestamp``: RFC 3339 with microseconds, UTC."""

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        seconds, nanos = divmod(self._clock(), 1_000_000_000)
        moment = dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
        event["timestamp"] = f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos // 1000:06d}Z"
        return event


class _Bridge(logging.Handler):
    """Hands what libraries log to structlog, under the library's own logger name."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
            structlog.get_logger().log(
                record.levelno, message, logger=record.name, exc_info=record.exc_info
            )
        except Exception:  # noqa: BLE001 - a log line must not end what was logging it
            self.handleError(record)


def _json(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    return msgspec.json.encode(dict(event), enc_hook=repr).decode()


def _human(stream: TextIO) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
