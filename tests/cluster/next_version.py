"""The engine as its next version may be: ``next_version.py sidecar …`` runs as ``python -m
tenure_sidecar`` does.

There is one version of Tenure in a tree, so the other one is made here: all that a version may change
without a new format (``engine/codec.py`` has the rule) is changed at once.  Every record in the store
and every frame between members has a field more, at its end; every JSON record has a key more; and
the protocol number is one higher.  What it reads is what it would read anyway, because a field that
is new has a default.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, cast

import msgspec

from tenure_sidecar.__main__ import main
from tenure_sidecar.actors.sharing import records
from tenure_sidecar.actors.sharing.records import MemberRecord
from tenure_sidecar.engine import codec
from tenure_sidecar.peers import frames
from tenure_sidecar.store.etcd import values

NEW = "of the next version"
PROTOCOL = (
    MemberRecord.__struct_defaults__[MemberRecord.__struct_fields__.index("protocol") - 1] + 1
)
_PLAIN = msgspec.json.decode

assert frames.PROTOCOL == PROTOCOL - 1, "one number, announced in two places"


def grown(value: Any) -> Any:
    """A record with ``NEW`` at its end, and so every record within it."""
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        assert config.array_like, "records in msgpack are arrays"
        tag = [] if config.tag is None else [config.tag]
        fields = [grown(getattr(value, name)) for name in value.__struct_fields__]
        return [*tag, *fields, NEW]
    if isinstance(value, (tuple, list)):
        return [grown(one) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: grown(one) for key, one in cast("dict[Any, Any]", value).items()}
    return value


def packed(value: Any) -> bytes:
    """A record, or several, as this version stores them."""
    return msgspec.msgpack.encode(grown(value))


def said(frame: msgspec.Struct) -> bytes:
    """A frame as this version sends it."""
    if isinstance(frame, frames.Hello):
        frame = msgspec.structs.replace(frame, protocol=PROTOCOL)
    return packed(frame)


def readable(before: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """JSON records with a key more."""

    def encode(record: Any) -> bytes:
        if not isinstance(record, msgspec.Struct):
            return before(record)
        if isinstance(record, MemberRecord):
            record = msgspec.structs.replace(record, protocol=PROTOCOL)
        return before({**_PLAIN(before(record)), "new": NEW})

    return encode


def change() -> None:
    """From here on this process is of the next version."""
    codec._encode = packed  # type: ignore[assignment]
    values._encode = packed  # type: ignore[assignment]
    frames.encode = said  # type: ignore[assignment]
    records.encode = readable(records.encode)  # type: ignore[assignment]


if __name__ == "__main__":
    change()
    sys.exit(main(sys.argv[1:]))
