"""Which versions of etcd are known to be wrong."""

from __future__ import annotations

import pytest

from tenure_sidecar.etcd.versions import is_sound, may_forget, version_of


@pytest.mark.parametrize(
    ("version", "sound", "forgets"),
    [
        ("3.4.27", False, False),
        ("3.5.0", False, True),
        ("3.5.2", False, True),
        ("3.5.3", False, False),
        ("3.5.4", False, False),
        ("3.5.5", True, False),
        ("3.5.21", True, False),
        ("3.6.0-rc.0", True, False),
        ("3.10.1", True, False),
    ],
)
def test_what_is_known_of_a_version(version: str, sound: bool, forgets: bool) -> None:
    assert is_sound(version) is sound
    assert may_forget(version) is forgets


def test_what_follows_the_numbers_is_left_out() -> None:
    assert version_of("3.6.0-rc.1") == (3, 6, 0)
