"""What members and owners write under their names, and the view that a sidecar makes of it.

The records are JSON, so that people can read them in etcd.  Fields that a later version adds are
passed over; a member's record that cannot be read counts as nobody's, an owner's as a stranger's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from tenure_sidecar.actors.sharing.decide import SIDECAR, Member, Owner, View

if TYPE_CHECKING:
    from tenure_sidecar.actors.port import ActivityKey
    from tenure_sidecar.store.coordination import Held

PROTOCOL: Final = 2  # in which members speak to each other (``peers.frames``)


class Identity(msgspec.Struct, frozen=True):
    """Who a process is among those of its app.

    Attributes:
        name: the only one of its kind at any time; the same after a restart if the place in the
            distribution of partitions is to be the same.
        pod: the same after a restart of the container; what an earlier incarnation owned is taken
            over at once.
        role: ``SIDECAR``, or ``GATEWAY`` for one that never has workers.
    """

    name: str
    pod: str
    role: str = SIDECAR


class MemberRecord(msgspec.Struct, frozen=True):
    """``members/<name>``.

    Attributes:
        workers: connected ones.
        leaving: it gives everything back.
        address: where other members can connect to it; empty = nowhere.
        word: what it says there, another one for each process.
        suspects: names and words of members that are gone, as far as it can see.
    """

    pod: str
    role: str = SIDECAR
    workers: int = 0
    flavours: tuple[str, ...] = ()
    leaving: bool = False
    protocol: int = PROTOCOL
    address: str = ""
    word: str = ""
    suspects: tuple[tuple[str, str], ...] = ()


class OwnerRecord(msgspec.Struct, frozen=True):
    """``owners/<partition>``."""

    name: str
    pod: str


encode = msgspec.json.Encoder().encode
_member = msgspec.json.Decoder(MemberRecord)
_owner = msgspec.json.Decoder(OwnerRecord)
_activities = msgspec.json.Decoder(list[tuple[str, str, int]])


def member_of(held: Held) -> Member | None:
    """The member; None when the record cannot be read."""
    record = _record(held.value)
    if record is None:
        return None
    return Member(record.pod, record.workers > 0, record.leaving, record.role)


@lru_cache(maxsize=1024)  # they are looked at far more often than they change
def _record(value: bytes) -> MemberRecord | None:
    try:
        return _member.decode(value)
    except msgspec.MsgspecError:
        return None


def records_of(members: Mapping[str, Held]) -> dict[str, MemberRecord]:
    """Those that can be read."""
    found = {name: _record(held.value) for name, held in members.items()}
    return {name: record for name, record in found.items() if record is not None}


def suspects_of(members: Mapping[str, MemberRecord]) -> set[str]:
    """Members that another one suspects, and that are still the process that it means."""
    return {
        name
        for record in members.values()
        for name, word in record.suspects
        if name in members and members[name].word == word
    }


def activities_of(held: Held) -> frozenset[ActivityKey]:
    """What a list of running activities says; one that cannot be read says nothing."""
    try:
        return frozenset(_activities.decode(held.value))
    except msgspec.MsgspecError:
        return frozenset()


def owner_of(held: Held) -> Owner:
    """The owner."""
    try:
        record = _owner.decode(held.value)
    except msgspec.MsgspecError:
        record = OwnerRecord("", "")
    return Owner(record.name, record.pod, held.revision)


def view_of(members: Mapping[str, Held], owners: Mapping[int, Owner], revision: int) -> View:
    """What ``decide`` looks at.  Of several members of one pod only the newest is there: the others
    are earlier incarnations of it, whose leases have not ended yet."""
    newest: dict[str, tuple[int, str, Member]] = {}
    for name, held in members.items():
        member = member_of(held)
        if member is None:
            continue
        there = newest.get(member.pod)
        if there is None or there[0] < held.revision:
            newest[member.pod] = (held.revision, name, member)
    return View({name: member for _, name, member in newest.values()}, owners, revision)
