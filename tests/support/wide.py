"""A workflow that fans out over all replicas, and who ran how many of its activities."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from typing import Any

from support.fleet import Fleet, Sidecar
from support.orders import repeats

SLOTS = 10  # of each app
PACE = 0.05  # seconds of an activity, so long that slots and not processors are what is short

_GOING = ("PENDING", "RUNNING")


class Wide:
    """Three sidecars with apps of ``SLOTS`` slots, and one workflow after the other."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._number = 0
        self._id = ""
        self._count = 0

    def begin(self, count: int, *, seconds: float = PACE) -> None:
        """Start one."""
        self._number += 1
        self._id, self._count = f"wide-{self._number}", count
        url = f"{self._here().engine.http_url}/v1.0/workflows/dapr/wide/start"
        given = json.dumps({"count": count, "seconds": seconds}).encode()
        request = urllib.request.Request(f"{url}?instanceID={self._id}", data=given, method="POST")  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own
            assert answer.status == 202

    def _here(self) -> Sidecar:
        return next(one for one in self.fleet.sidecars if one.here)

    def _state(self) -> dict[str, Any]:
        url = f"{self._here().engine.http_url}/v1.0/workflows/dapr/{self._id}"
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own
            found: dict[str, Any] = json.load(answer)
        return found

    def parts(self) -> tuple[Sidecar, Sidecar]:
        """Its owner and a borrower, once it is in full swing."""
        owner: list[Sidecar] = []
        borrowers: list[Sidecar] = []

        def found() -> bool:
            owner[:] = [s for s in self.fleet.sidecars if s.metric("tenure_activities_lent") > 0]
            borrowers[:] = [
                s for s in self.fleet.sidecars if s.metric("tenure_activities_borrowed") > 0
            ]
            return len(owner) == 1 and len(borrowers) == len(self.fleet.sidecars) - 1

        self.fleet.until(found, "the owner lends to everybody")
        return owner[0], borrowers[0]

    def end(self) -> Counter[str]:
        """Wait for it; how many activities each app ran."""
        self.fleet.until(lambda: self._state()["runtimeStatus"] not in _GOING, "the workflow ends")
        state = self._state()
        assert state["runtimeStatus"] == "COMPLETED", state
        assert state["properties"]["dapr.workflow.output"] == str(self._count), state
        effects = [one for one in self.fleet.effects.read() if one.key.startswith(f"{self._id}/")]
        assert len({one.key for one in effects}) == self._count
        return Counter(one.app for one in effects)

    @property
    def again(self) -> int:
        """Activities that ran more than once, as often as they did."""
        return len(repeats(self.fleet.effects.read()))
