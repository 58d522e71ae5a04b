"""When certificates are made and replaced: one pure function of what there is and of the time.

The injector is its own certificate authority.  What there is stands in one Secret that all replicas
share: a bundle of authorities (the newest first, its key beside it) and one leaf that servers show.
The API server trusts what the webhook configuration's bundle holds.  A leaf of an authority that
the API server has not heard of yet would fail every review, so an authority is replaced in steps,
and each step is taken only when the one before it has reached everybody::

    nothing          -> FOUND    a first authority and its leaf, at once
    authority at 2/3 -> STAGE    a second authority goes into the bundle; the old leaf stays
    after SETTLE     -> ISSUE    a leaf of the new authority; the old one stays in the bundle
    old one expired  -> PRUNE    it leaves the bundle

A leaf at two thirds of its life is replaced by one of the same authority (ISSUE).  At any moment
the leaf in use has an authority in the bundle: that is the law which the tests check.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

RENEW_AT: Final = 2 / 3  # of a life
SETTLE: Final = 300.0  # seconds until a bundle has reached every API server
BACKDATED: Final = 300.0  # seconds that certificates begin early, for clocks that are behind


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Life of a certificate: seconds since the Unix epoch; ``begin`` is when it was made."""

    begin: float
    end: float

    @property
    def renewal(self) -> float:
        """When it has to be replaced."""
        return self.begin + (self.end - self.begin) * RENEW_AT


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate authority in the bundle."""

    key_id: str
    life: Span


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """The certificate that servers show; ``issuer`` is an authority's key id."""

    issuer: str
    life: Span
    names: frozenset[str]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the Secret holds.  Only the first authority's key is kept."""

    authorities: tuple[Authority, ...] = ()
    leaf: Leaf | None = None


class Step(Enum):
    """What to do now."""

    NOTHING = "nothing"
    FOUND = "found"
    STAGE = "stage"
    ISSUE = "issue"
    PRUNE = "prune"


def next_step(held: Held, *, names: frozenset[str], now: float) -> Step:
    """What to do now; the caller does it, and asks again.

    Args:
        held: what there is.
        names: the names that the leaf has to be good for.
        now: seconds since the Unix epoch.
    """
    if not held.authorities or held.authorities[0].life.end <= now:
        return Step.FOUND
    newest, leaf = held.authorities[0], held.leaf
    live = {one.key_id for one in held.authorities if one.life.end > now}
    if leaf is None or leaf.issuer not in live or leaf.life.end <= now or leaf.names != names:
        return Step.ISSUE  # there is nothing good to wait with
    if leaf.issuer != newest.key_id:
        due, step = newest.life.begin + _settle(newest), Step.ISSUE
    elif now >= newest.life.renewal:
        due, step = newest.life.renewal, Step.STAGE
    elif len(live) < len(held.authorities):
        due, step = now, Step.PRUNE
    else:
        due, step = leaf.life.renewal, Step.ISSUE
    return step if now >= due else Step.NOTHING


def leaf_end(*, now: float, life: float, authority: Authority) -> float:
    """When a leaf that is made now ends: never after its authority."""
    return min(now + life, authority.life.end)


def _settle(authority: Authority) -> float:
    """How long a bundle takes to reach everybody; less where lives are short, in tests."""
    return min(SETTLE, (authority.life.end - authority.life.begin) / 20)
