"""Decisions of lending, pure: who may have how much, and whom to be connected to.

A peer hands its free slots out in shares, so that what it has promised never adds up to more than it
can run.  Slots that its own activities take meanwhile are the only way to be refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

LINKS_MAX = 32  # members that one lends to at a time


def limits(
    free: int, loans: Mapping[str, int], wanting: Collection[str], *, turn: int = 0
) -> dict[str, int]:
    """How many activities each lender may have here at a time.

    Args:
        free: slots that nobody uses.
        loans: lender -> activities of its that are here.
        wanting: lenders that have more.
        turn: changes from time to time, and with it who gets what does not divide.

    Returns: for each lender what it has and, if it wants more, its share of what is free.
    """
    found = dict(loans)
    if not wanting or free <= 0:
        return found
    names = sorted(wanting)
    first = turn % len(names)
    # Whoever has fewest gets what does not divide; among equals it goes round.
    order = sorted(names[first:] + names[:first], key=lambda name: loans[name])
    share, rest = divmod(free, len(order))
    for place, name in enumerate(order):
        found[name] += share + (place < rest)
    return found


def links(
    near: Sequence[str],
    others: Sequence[str],
    *,
    wanting: bool,
    held: Collection[str],
    owing: Collection[str],
) -> list[str]:
    """Whom to be connected to.

    Args:
        near: members to be watched in any case.
        others: all members that have workers, those first that shall be asked first.
        wanting: whether there is something to lend.
        held: those that one is connected to.
        owing: the same, where activities are that they have not answered.
    """
    found = list(near)
    if wanting:
        # Whom one has stays: a new connection is of no more use than an old one.
        ranked = [name for name in others if name in held]
        ranked += [name for name in others if name not in held]
        found += [name for name in ranked if name not in near][: max(0, LINKS_MAX - len(near))]
    return found + [name for name in owing if name not in found]


Names = dict[str, tuple[str, ...]] | None


def together(workers: Sequence[Names]) -> Names:
    """What some of the workers take: activities and their versions; None = all, as for a worker."""
    found: dict[str, tuple[str, ...]] = {}
    for names in workers:
        if names is None:
            return None
        for name, versions in names.items():
            known = found.get(name)
            # No version named = every version.
            every = known == () or not versions
            found[name] = () if every else tuple(dict.fromkeys((*(known or ()), *versions)))
    return found
