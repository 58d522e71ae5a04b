"""Which certificate is made or replaced now: pure functions of what there is and of the time.

One authority vouches for several leaves.  Who checks a leaf has the bundle of authorities as it was
some time ago, and etcd as it was when it started.  So a new authority first goes into the bundle,
and leaves of it are made only when the bundle is ``trusted`` everywhere::

    no authority          -> FOUND    the first one
    newest at 2/3 of life -> STAGE    a new one in front of it; leaves stay what they are
    trusted and settled   -> ISSUE    leaves of the new one
    trusted, old expired  -> PRUNE    it leaves the bundle

A leaf of the newest authority is replaced at two thirds of its life.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tenure_common.pki.schedule import Authority, Leaf, Step

SETTLE: Final = 3600.0  # seconds until a bundle has reached every pod that mounts it


def authority_step(
    authorities: Sequence[Authority], *, now: float, trusted: bool, replace: bool
) -> Step:
    """What to do with the bundle now; the caller does it, and asks again.

    Args:
        authorities: the bundle, the newest first.
        now: seconds since the Unix epoch.
        trusted: whether all etcd members have started with this bundle.
        replace: whether somebody wants a new authority.
    """
    if not authorities:
        return Step.FOUND
    if replace or now >= authorities[0].life.renewal:
        return Step.STAGE
    if trusted and any(one.life.end <= now for one in authorities):
        return Step.PRUNE
    return Step.NOTHING


def leaf_step(  # noqa: PLR0913 - all that counts
    authorities: Sequence[Authority],
    leaf: Leaf | None,
    *,
    names: frozenset[str],
    now: float,
    trusted: bool,
    replace: bool,
) -> Step:
    """Whether a leaf is made now, or stays: ISSUE or NOTHING.

    Args:
        authorities: the bundle, the newest first; there is one.
        leaf: what there is.
        names: the host names that it has to be good for.
        now: seconds since the Unix epoch.
        trusted: whether all etcd members have started with this bundle.
        replace: whether somebody wants it replaced.
    """
    newest = authorities[0]
    live = {one.key_id for one in authorities if one.life.end > now}
    if leaf is None or leaf.issuer not in live or leaf.life.end <= now or leaf.names != names:
        return Step.ISSUE  # there is nothing good to wait with
    if leaf.issuer != newest.key_id:
        due = trusted and now >= newest.life.begin + SETTLE
    else:
        due = replace or now >= leaf.life.renewal
    return Step.ISSUE if due else Step.NOTHING


def has_started_with(stateful_set: dict[str, Any], mark: str, *, key_id: str, sole: bool) -> bool:
    """Whether every member of etcd has started since the newest authority came into the bundle.

    Args:
        stateful_set: etcd's, as the API server has it.
        mark: annotation of its pods that says with which authority they were started.
        key_id: of the newest authority.
        sole: whether it is the only one there has been: then no pod started without it.
    """
    spec: dict[str, Any] = stateful_set["spec"]
    status: dict[str, Any] = stateful_set.get("status") or {}
    marks: dict[str, str] = spec["template"]["metadata"].get("annotations") or {}
    if mark not in marks:
        return sole
    replicas = spec["replicas"]
    return (
        marks[mark] == key_id
        and status.get("observedGeneration", 0) >= stateful_set["metadata"]["generation"]
        and status.get("updatedReplicas") == status.get("readyReplicas") == replicas
        and status.get("currentRevision") == status.get("updateRevision")
    )
