"""What an app's settings mean beside the flags, and what is no settings."""

from __future__ import annotations

import pytest

from tenure_common.errors import BadRequestError, StoreCorruptError
from tenure_common.times import NANOS
from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.retention import Retention
from tenure_sidecar.engine.settings import Concurrency, KeptFor, Settings, decode, encode

HOUR = 3600 * NANOS
FLAGS = Retention(any=HOUR, by_status={Status.COMPLETED: 2 * HOUR, Status.FAILED: None})


def test_nothing_set_is_as_the_flags_say() -> None:
    assert Settings().kept(FLAGS) == FLAGS


def test_what_is_set_goes_before_its_flag_and_leaves_the_others() -> None:
    kept = Settings(retention=KeptFor(completed="forever", terminated="0s")).kept(FLAGS)
    assert kept.of(Status.COMPLETED, {}) is None
    assert kept.of(Status.TERMINATED, {}) == 0
    assert kept.of(Status.FAILED, {}) is None
    assert kept.of(Status.CANCELED, {}) == HOUR


def test_a_time_for_any_status_ends_all_flags() -> None:
    kept = Settings(retention=KeptFor(any="5h", failed="6h")).kept(FLAGS)
    found = {status: kept.of(status, {}) for status in Status if status.terminal}
    assert found.pop(Status.FAILED) == 6 * HOUR
    assert set(found.values()) == {5 * HOUR}


def test_the_stored_form_comes_back() -> None:
    some = Settings(retention=KeptFor(any="1d", failed="forever"))
    for one in (Settings(), some, Settings(concurrency=Concurrency(activities=3))):
        assert decode(encode(one)) == one


def test_fields_of_a_later_version_are_passed_over() -> None:
    assert decode(b'{"retention": {"any": "1d", "x": 1}, "y": {}}').retention.any == "1d"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"retention": {"any": "soon"}}', b'{"concurrency": {"workflows": 0}}']
)
def test_what_holds_no_settings_is_told(body: bytes) -> None:
    with pytest.raises(StoreCorruptError, match="document 'settings'"):
        decode(body)


def test_a_time_that_cannot_be_read_names_its_field() -> None:
    with pytest.raises(BadRequestError, match=r"retention\.failed: .*, or 'forever'"):
        Settings(retention=KeptFor(failed="soon")).kept(FLAGS)
