"""What members say to each other: the frames of a stream, each direction's own.

A gRPC message is an array of frames in msgpack, so that many small ones cost one message.  A frame is
an array behind its number.  As in the stored records (``engine/codec.py``), fields are only ever added
at the end and with a default, so that members of two versions understand each other; what an older one
does not know at all is not sent to it, which is what ``Hello.protocol`` is for.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tenure_common.errors import BadRequestError
from tenure_sidecar.actors.sharing.records import PROTOCOL
from tenure_sidecar.dispatch.loans import Borrowed
from tenure_sidecar.engine.events import Failure

PATH = "/tenure.peers.v1.Peers/Lend"
CLOCKS = 2  # the protocol from which on ``Ask`` is answered
OVERHEAD = 64 * 1024  # bytes that a frame may add to what an app sent

_FIXARRAY, _ARRAY16 = 0x90, 0xDC
_FEW = 16
MOST = 0xFFFF  # frames of a message


class _Frame(msgspec.Struct, frozen=True, array_like=True):
    pass


class Hello(_Frame, frozen=True, tag=0):
    """The first frame of both: who it is.

    Attributes:
        word: random, another one for each process, and known only to those who can read the app's
            records in the store.
        to: of the caller's: the word of the process that it means, which shows that it is one of them.
        good_for: of the other's: seconds that its certificate is valid for; None = it has none.
    """

    name: str
    namespace: str
    app_id: str
    word: str
    to: str = ""
    good_for: float | None = None
    protocol: int = PROTOCOL


class Want(_Frame, frozen=True, tag=1):
    """The owner has, or has no longer, more activities than its own app has room for."""

    more: bool


class Lent(_Frame, frozen=True, tag=2):
    """The owner lends an activity."""

    what: Borrowed


class Settled(_Frame, frozen=True, tag=3):
    """The owner has the result of a loan, and it is durable; unless there is an ``error``."""

    token: str
    error: str = ""


class Ask(_Frame, frozen=True, tag=8):
    """The owner asks what the peer's clock says.  Answered by ``Time``."""


class Room(_Frame, frozen=True, tag=4):
    """How many of the owner's activities the peer may have at a time.

    Attributes:
        limit: those that it has count, and those that are on their way.
        message_bytes: the largest message that any of its workers accepts.
        activities: names (lower case) and versions that its workers take; None = all.
    """

    limit: int
    message_bytes: int
    activities: dict[str, tuple[str, ...]] | None = None


class Done(_Frame, frozen=True, tag=5):
    """An activity was run."""

    token: str
    result: str | None = None
    failure: Failure | None = None


class Refused(_Frame, frozen=True, tag=6):
    """An activity was not begun; ``size`` is that of its message when it was for that."""

    token: str
    size: int = 0


class Lost(_Frame, frozen=True, tag=7):
    """An activity was begun, and its worker was lost."""

    token: str


class Time(_Frame, frozen=True, tag=9):
    """The peer's wall clock, nanoseconds since the Unix epoch."""

    now: int


FromOwner = Hello | Want | Lent | Settled | Ask
FromPeer = Hello | Room | Done | Refused | Lost | Time

encode = msgspec.msgpack.Encoder().encode
_from_owner = msgspec.msgpack.Decoder(tuple[FromOwner, ...])
_from_peer = msgspec.msgpack.Decoder(tuple[FromPeer, ...])


def join(frames: Sequence[bytes]) -> bytes:
    """The message of up to ``MOST`` encoded frames."""
    count = len(frames)
    head = (
        bytes([_FIXARRAY | count]) if count < _FEW else bytes([_ARRAY16]) + count.to_bytes(2, "big")
    )
    return head + b"".join(frames)


def from_owner(message: bytes) -> tuple[FromOwner, ...]:
    """The frames of a message of the owner's.  Raises: BadRequestError."""
    try:
        return _from_owner.decode(message)
    except msgspec.MsgspecError as error:
        raise _unreadable(error) from error


def from_peer(message: bytes) -> tuple[FromPeer, ...]:
    """The frames of a message of the peer's.  Raises: BadRequestError."""
    try:
        return _from_peer.decode(message)
    except msgspec.MsgspecError as error:
        raise _unreadable(error) from error


def _unreadable(error: msgspec.MsgspecError) -> BadRequestError:
    return BadRequestError(f"another member of the app sent what cannot be read: {error}")
