"""Records of every released format are read as what they meant when they were written.

In scope: the bytes under tests/data/histories.  Out of scope: workflows that go on from them
(integration/store/test_sqlite_golden).
"""

from __future__ import annotations

import json

import msgspec
import pytest

from support.golden import HISTORIES, plain, records
from tenure_sidecar.engine import codec

GOLDEN = {
    f"{path.stem}-{name}": record
    for path in sorted(HISTORIES.glob("format-*.json"))
    for name, record in json.loads(path.read_text()).items()
}


def test_every_format_has_its_records() -> None:
    formats = {int(path.stem.removeprefix("format-")) for path in HISTORIES.glob("format-*.json")}
    assert formats == set(range(1, codec.FORMAT + 1))


def test_every_kind_of_record_is_among_those_of_the_present_format() -> None:
    present = {n.split("-", 2)[2] for n in GOLDEN if n.startswith(f"format-{codec.FORMAT}-")}
    assert present == set(records())


@pytest.mark.parametrize("name", GOLDEN)
def test_a_record_means_what_it_meant(name: str) -> None:
    record = GOLDEN[name]
    decode = codec.decode_head if name.endswith("-Head") else codec.decode_event
    decoded = decode(bytes.fromhex(record["stored"]))
    assert isinstance(decoded, msgspec.Struct)
    # What has been added since has its default, and so is not among the fields that are set.
    assert plain(decoded) == record["means"]
