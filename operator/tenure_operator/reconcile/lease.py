"""Who of several operators works: the decision about a Lease.  Pure.

The same rules as client-go's leader election.  A holder that has not renewed for the lease's duration
may be replaced; how long that is, each candidate measures with its own monotonic clock from the moment
at which it saw the last renewal, so that clocks need not agree.  A holder that ends gives the lease up
by emptying it.

The lease keeps two operators from doing the same work; it is not what keeps their work right.  That is
done by the versions in each write and the keys in each call (ADR 0014).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from tenure_common.times import format_time

Verdict = Literal["take", "renew", "wait"]


class Observed(NamedTuple):
    """A lease as it was last seen to change: its version, its holder, and when that was (seconds,
    monotonic)."""

    version: str = ""
    holder: str = ""
    at: float = 0.0


def observe(before: Observed, lease: Mapping[str, Any], *, at: float) -> Observed:
    """What is known after reading the lease at ``at`` (seconds, monotonic)."""
    version = str(lease["metadata"]["resourceVersion"])
    if version == before.version:
        return before
    holder = lease.get("spec", {}).get("holderIdentity") or ""
    return Observed(version, str(holder), at)


def verdict(observed: Observed, me: str, *, now: float, duration: float) -> Verdict:
    """What to do about the lease; ``now`` and ``duration`` in seconds, monotonic."""
    if observed.holder == me:
        return "renew"
    if not observed.holder or now - observed.at > duration:
        return "take"
    return "wait"


def body(  # noqa: PLR0913 - the fields of a Lease
    namespace: str,
    name: str,
    holder: str,
    *,
    now: int,
    duration: int,
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The Lease to write; ``now`` in nanoseconds since the epoch, ``duration`` in seconds."""
    stamp = f"{format_time(now)[:26]}Z"  # Kubernetes wants exactly six digits
    old: Mapping[str, Any] = {} if before is None else before.get("spec", {})
    same = old.get("holderIdentity") == holder
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": duration,
        "renewTime": stamp,
        "acquireTime": old.get("acquireTime", stamp) if same else stamp,
        "leaseTransitions": int(old.get("leaseTransitions") or 0) + (0 if same else 1),
    }
    meta: dict[str, Any] = {"namespace": namespace, "name": name}
    if before is not None:
        meta["resourceVersion"] = before["metadata"]["resourceVersion"]
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": meta,
        "spec": spec,
    }
