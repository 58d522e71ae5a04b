"""Who should own a partition: rendezvous hashing with a bound on the load.

Every pair of partition and member has a weight that nobody chose (a hash).  The heaviest pair goes
first; a partition that has an owner, or a member that has its share, is passed over.  So everybody
who knows the same members comes to the same answer without talking, nobody has more than its share
and a little, and a member that comes or goes moves little more than its own partitions.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import lru_cache
from hashlib import blake2b

SLACK = 1.15  # of the even share: with less, more moves when somebody comes or goes


@lru_cache(maxsize=65_536)
def weight(partition: int, member: str) -> int:
    """The pair's place in the order; the same everywhere and for ever."""
    text = f"{partition}/{member}".encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest())


def share(partitions: int, members: int) -> int:
    """How many partitions one of ``members`` has at most."""
    return math.ceil(SLACK * partitions / members)


def place(partitions: int, members: Collection[str]) -> dict[int, str]:
    """The owner that each partition should have; empty when there are no members."""
    if not members:
        return {}
    pairs = sorted(
        (
            (weight(partition, member), partition, member)
            for partition in range(partitions)
            for member in members
        ),
        reverse=True,
    )
    room = dict.fromkeys(members, share(partitions, len(members)))
    placed: dict[int, str] = {}
    for _, partition, member in pairs:
        if partition not in placed and room[member]:
            placed[partition] = member
            room[member] -= 1
    return placed
