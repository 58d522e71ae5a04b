"""Logs: one line an event, in the form asked for; libraries' logs take the same way.

Out of scope: what structlog and the standard library promise themselves (contexts, filtering).
"""

from __future__ import annotations

import io
import json
import logging as stdlib
import warnings
from collections.abc import Iterator

import pytest
import structlog

from tenure_common import logging

NOON = 1_764_072_000_123_456_789  # 2025-11-25T12:00:00.123456789Z


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root = stdlib.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**config)


def configured(
    form: logging.Format = "auto", level: logging.Level = "info", *, terminal: bool = False
) -> io.StringIO:
    stream = Terminal() if terminal else io.StringIO()
    logging.configure(clock=lambda: NOON, form=form, level=level, stream=stream)
    return stream


def events(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines() -> None:
    stream = configured()
    structlog.get_logger().info("engine ready", port=50001)
    structlog.get_logger().warning("store slow", seconds=1.5)
    assert events(stream) == [
        {
            "event": "engine ready",
            "port": 50001,
            "level": "info",
            "timestamp": "2025-11-25T12:00:00.123456Z",
        },
        {
            "event": "store slow",
            "seconds": 1.5,
            "level": "warning",
            "timestamp": "2025-11-25T12:00:00.123456Z",
        },
    ]


def test_bound_values_are_in_every_line() -> None:
    stream = configured()
    log = structlog.get_logger().bind(instance="order-1")
    log.info("a")
    log.info("b")
    assert [event["instance"] for event in events(stream)] == ["order-1", "order-1"]


def test_exception_is_one_json_line() -> None:
    stream = configured()
    try:
        raise ValueError("broken\ninput")
    except ValueError:
        structlog.get_logger().exception("request failed")
    (event,) = events(stream)
    (trace,) = event["exception"]  # type: ignore[misc]
    assert trace["exc_type"] == "ValueError"  # type: ignore[index]
    assert trace["exc_value"] == "broken\ninput"  # type: ignore[index]


def test_exception_tells_nothing_of_what_was_at_hand() -> None:
    stream = configured()
    token = "sec" + "ret"
    try:
        raise ValueError("broken " + token[:3])
    except ValueError:
        structlog.get_logger().exception("request failed")
    (event,) = events(stream)
    assert event["exception"][0]["frames"][0]["name"]  # type: ignore[index]
    assert token not in stream.getvalue(), "tokens and bodies do not belong in a log"


def test_odd_values_do_not_break_a_line() -> None:
    stream = configured()
    structlog.get_logger().info("odd", value=object, raw=b"\xff", text="two\nlines")
    (event,) = events(stream)
    assert event["value"] == "<class 'object'>"
    assert event["text"] == "two\nlines"


@pytest.mark.parametrize(
    ("form", "terminal", "is_json"),
    [
        pytest.param("auto", False, True, id="auto-pipe"),
        pytest.param("auto", True, False, id="auto-terminal"),
        pytest.param("json", True, True, id="json-terminal"),
        pytest.param("human", False, False, id="human-pipe"),
    ],
)
def test_form(form: logging.Format, terminal: bool, is_json: bool) -> None:
    stream = configured(form, terminal=terminal)
    structlog.get_logger().info("engine ready", port=50001)
    text = stream.getvalue()
    assert text.startswith("{") is is_json
    assert "engine ready" in text
    assert "50001" in text


def test_colours_are_for_terminals() -> None:
    piped, shown = configured("human"), configured("human", terminal=True)
    structlog.get_logger().info("engine ready")
    assert "\x1b[" in shown.getvalue()
    logging.configure(clock=lambda: NOON, form="human", stream=piped)
    structlog.get_logger().info("engine ready")
    assert "\x1b[" not in piped.getvalue()


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        pytest.param("debug", ["d", "i", "w", "e"], id="debug"),
        pytest.param("info", ["i", "w", "e"], id="info"),
        pytest.param("warning", ["w", "e"], id="warning"),
        pytest.param("error", ["e"], id="error"),
    ],
)
def test_level(level: logging.Level, shown: list[str]) -> None:
    stream = configured(level=level)
    for log in (structlog.get_logger(), stdlib.getLogger("library")):
        log.debug("d")
        log.info("i")
        log.warning("w")
        log.error("e")
    assert [event["event"] for event in events(stream)] == shown * 2


def test_libraries_logs_take_the_same_way() -> None:
    stream = configured()
    stdlib.getLogger("asyncio").error("Task exception was never retrieved: %s", "boom")
    (event,) = events(stream)
    assert event["event"] == "Task exception was never retrieved: boom"
    assert event["logger"] == "asyncio"
    assert event["level"] == "error"


def test_percent_signs_in_a_librarys_message_are_kept() -> None:
    stream = configured()
    stdlib.getLogger("library").warning("100%% of %s", "x%d")
    stdlib.getLogger("library").warning("100%")
    assert [event["event"] for event in events(stream)] == ["100% of x%d", "100%"]


def test_librarys_exception_is_in_the_line() -> None:
    stream = configured()
    try:
        raise KeyError("k")
    except KeyError:
        stdlib.getLogger("library").exception("failed")
    (event,) = events(stream)
    assert event["exception"]


def test_bad_library_call_does_not_raise(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    stdlib.getLogger("library").warning("%d things", "no number")
    assert "no number" in capsys.readouterr().err


def test_nothing_is_written_twice() -> None:
    configured()
    stream = configured()
    stdlib.getLogger("library").warning("once")
    assert len(events(stream)) == 1


def test_standard_error_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(clock=lambda: NOON)
    structlog.get_logger().info("where")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "where" in captured.err


def test_warnings_stay_warnings() -> None:
    configured()
    with pytest.warns(UserWarning, match="old"):
        warnings.warn("old", stacklevel=1)
