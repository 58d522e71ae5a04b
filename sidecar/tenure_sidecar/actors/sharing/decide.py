"""What a sidecar does next about each partition, from what it sees; level-triggered.

There are no messages between sidecars and no order of events to get right: whenever anything
changed (a new view, an answer, a partition that came to rest), ``decide`` looks at the whole and
says what to ask of the store.  Deciding twice on the same is deciding once.

::

            wanted ◄──── held by somebody ────┐
              │                               │
    away ─────┴─► claiming ─► owned ─► draining ─► releasing ─► away
                     │          ▲          │
                     └► away    └──────────┘  wanted here again

A key may be claimed when it is absent, when it is a suspect's, when it names this sidecar with a
token that it does not hold (the answer to a claim was lost), and when it is an earlier incarnation's
of the same pod.  Nobody else's key is touched: its lease ends, or its owner gives it back.

A view that is older than the last answer about a partition says nothing about that partition.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from functools import lru_cache

import msgspec

from tenure_sidecar.actors.sharing.placement import place

SIDECAR, GATEWAY = "sidecar", "gateway"  # roles


class Phase(Enum):
    """Of one partition, in one sidecar."""

    AWAY = "away"
    WANTED = "wanted"  # should be here, and is somebody's
    CLAIMING = "claiming"  # asked for
    OWNED = "owned"
    DRAINING = "draining"  # should be elsewhere; takes no new turns, those under way end
    RELEASING = "releasing"  # being given back

    @property
    def holds(self) -> bool:
        """Whether commits are made with the slot's token."""
        return self in (Phase.OWNED, Phase.DRAINING)


class Slot(msgspec.Struct, frozen=True):
    """One partition.

    Attributes:
        token: the fence when the partition is held or being given back, else the revision that a
            claim names (0 = no key).
        known: revision of the last answer about it.
    """

    phase: Phase = Phase.AWAY
    token: int = 0
    known: int = 0


class Member(msgspec.Struct, frozen=True):
    """A sidecar or gateway.  ``pod`` is the same after a restart of its container; ``worker``: an
    app is connected; ``leaving``: it was told to stop."""

    pod: str
    worker: bool = True
    leaving: bool = False
    role: str = SIDECAR


class Owner(msgspec.Struct, frozen=True):
    """An owner key: whose it is, and its mod revision, which is the fence."""

    name: str
    pod: str
    revision: int


class View(msgspec.Struct, frozen=True):
    """Members and owner keys in one snapshot as of ``revision``."""

    members: Mapping[str, Member]
    owners: Mapping[int, Owner]
    revision: int


class Me(msgspec.Struct, frozen=True):
    """This sidecar, which knows itself better than any view does."""

    name: str
    member: Member


class Decision(msgspec.Struct, frozen=True):
    """The slots from now on, and what to ask of the store.

    Attributes:
        slots: every partition's.
        claims: partition -> revision that its key must be at (0 = absent).
        releases: partition -> token that its key must be at.
        lost: partitions that are not held any more without having been given back: whatever is in
            memory of them is worth nothing.
    """

    slots: tuple[Slot, ...]
    claims: Mapping[int, int]
    releases: Mapping[int, int]
    lost: tuple[int, ...]


def targets(view: View, me: Me, suspects: Collection[str], partitions: int) -> Mapping[int, str]:
    """Who should own what, of the members that stay and are not suspected: those with a worker.

    While nobody has one, the gateways, and without any, everybody: much needs no app (terminate,
    purge, retention), and somebody must do it.
    """
    members = {**view.members, me.name: me.member}
    staying = {
        name: member
        for name, member in members.items()
        if not member.leaving and (name == me.name or name not in suspects)
    }
    able = [name for name, member in staying.items() if member.worker]
    able = able or [name for name, member in staying.items() if member.role == GATEWAY]
    return _placed(partitions, tuple(sorted(able or staying)))


@lru_cache(maxsize=16)
def _placed(partitions: int, names: tuple[str, ...]) -> Mapping[int, str]:
    return place(partitions, names)


def decide(
    view: View,
    me: Me,
    slots: tuple[Slot, ...],
    *,
    suspects: Collection[str] = (),
    quiet: Collection[int] = (),
) -> Decision:
    """See the module docstring.

    Args:
        view: what is in the store.
        me: who asks; its lease must be alive (else see ``lease_lost``).
        slots: by partition, as of the last decision and the answers since.
        suspects: names of members whose connection was reset.
        quiet: draining partitions with no turn and no write under way.
    """
    wanted = targets(view, me, suspects, len(slots))
    after = list(slots)
    claims: dict[int, int] = {}
    releases: dict[int, int] = {}
    lost: list[int] = []
    for partition, slot in enumerate(slots):
        if view.revision < slot.known:
            continue
        owner = view.owners.get(partition)
        target = wanted.get(partition)
        if slot.phase.holds:
            if owner is None or owner.revision != slot.token:
                lost.append(partition)
                slot = Slot(known=slot.known)  # noqa: PLW2901 - and what follows from that
            else:
                slot = _held(slot, me, target, rests=partition in quiet)  # noqa: PLW2901
                if slot.phase is Phase.RELEASING:
                    releases[partition] = slot.token
        if slot.phase in (Phase.AWAY, Phase.WANTED):
            slot = _away(slot, me, owner, target=target, suspects=suspects)  # noqa: PLW2901
            if slot.phase is Phase.CLAIMING:
                claims[partition] = slot.token
            elif slot.phase is Phase.RELEASING:
                releases[partition] = slot.token
        after[partition] = slot
    return Decision(tuple(after), claims, releases, tuple(lost))


def _held(slot: Slot, me: Me, target: str | None, *, rests: bool) -> Slot:
    """A partition that is ours.  Without any target it stays, unless we are leaving: somebody must
    do what needs no app."""
    if target == me.name or (target is None and not me.member.leaving):
        return msgspec.structs.replace(slot, phase=Phase.OWNED)
    return msgspec.structs.replace(slot, phase=Phase.RELEASING if rests else Phase.DRAINING)


def _away(
    slot: Slot, me: Me, owner: Owner | None, *, target: str | None, suspects: Collection[str]
) -> Slot:
    """A partition that is not ours, as far as we know."""
    stray = owner is not None and owner.name == me.name
    if target != me.name:
        if stray and owner is not None:  # the answer to a claim or a release was lost
            return Slot(Phase.RELEASING, owner.revision, slot.known)
        return Slot(known=slot.known)
    if owner is None:
        return Slot(Phase.CLAIMING, 0, slot.known)
    if stray or owner.pod == me.member.pod or owner.name in suspects:
        return Slot(Phase.CLAIMING, owner.revision, slot.known)
    return Slot(Phase.WANTED, known=slot.known)


# --- answers --------------------------------------------------------------------------------------


def claimed(slot: Slot, *, token: int | None, revision: int) -> Slot:
    """A claim was answered at ``revision``: with a fence, or None when the key was not as it was
    seen."""
    if slot.phase is not Phase.CLAIMING:
        return slot
    if token is None:
        return Slot(known=revision)
    return Slot(Phase.OWNED, token, revision)


def released(slot: Slot, *, revision: int) -> Slot:
    """A release was answered at ``revision``: the key is not ours any more."""
    return Slot(known=revision) if slot.phase is Phase.RELEASING else slot


def unanswered(slot: Slot) -> Slot:
    """The answer to a claim or a release was lost: act as if nothing were held, and let the next
    view tell."""
    if slot.phase in (Phase.CLAIMING, Phase.RELEASING):
        return Slot(known=slot.known)
    return slot


def lease_lost(slots: tuple[Slot, ...]) -> tuple[tuple[Slot, ...], tuple[int, ...]]:
    """The lease is over, or may be: nothing is held.  The new slots, and what was held."""
    held = tuple([partition for partition, slot in enumerate(slots) if slot.phase.holds])
    return tuple([Slot(known=slot.known) for slot in slots]), held
