"""Holds the Lease: waits until it is free, renews it, gives it up at the end.

Whoever cannot renew in time stops working before another may begin: the deadline counts from before
the last renewal was sent, and is shorter than the lease.

A candidate that may not use the Lease, or whose credentials are not accepted, waits as one that waits
for another holder, and says why in its log and its readiness; it goes on as soon as it may.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from tenure_common.errors import (
    ClusterRefusedError,
    ClusterUnavailableError,
    LeaseLostError,
    TenureError,
)
from tenure_operator.cluster import Cluster
from tenure_operator.link import ConflictError, GoneError
from tenure_operator.reconcile.lease import Observed, body, observe, verdict

_log = structlog.get_logger(__name__)

_RENEW: Final = 1 / 6  # of the duration: how often it is renewed and looked at
_STOP: Final = 2 / 3  # of the duration: when to stop after the last renewal


class Leader:
    """One candidate for one Lease."""

    def __init__(  # noqa: PLR0913 - what a lease is made of
        self,
        cluster: Cluster,
        *,
        namespace: str,
        name: str,
        me: str,
        duration: int,
        wall: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        """``duration`` in seconds; ``wall`` in nanoseconds, ``monotonic`` in seconds."""
        self._cluster = cluster
        self._namespace, self._name, self._me = namespace, name, me
        self._duration = duration
        self._wall, self._monotonic = wall, monotonic
        self._observed = Observed()
        self._lease: Mapping[str, Any] | None = None
        self._renewed = 0.0
        self.leads = False
        self.trouble = ""  # why the lease cannot be used, in words

    async def acquire(self) -> None:
        """Return once the lease is ours."""
        said = ""
        while not await self._try():
            holder = "" if self.trouble else self._observed.holder
            if holder and holder != said:
                _log.info("another operator leads", holder=holder)
            said = holder
            await asyncio.sleep(self._duration * _RENEW)
        self.leads = True
        _log.info("leading", lease=self._name, me=self._me)

    async def hold(self) -> None:
        """Renew for ever.  Raises: LeaseLostError."""
        while True:
            await asyncio.sleep(self._duration * _RENEW)
            left = self._renewed + self._duration * _STOP - self._monotonic()
            try:
                async with asyncio.timeout(max(left, 0.0)):
                    held = await self._try()
            except TimeoutError:
                held = False
            if self._observed.holder not in {self._me, ""}:
                self.leads = False
                message = f"'{self._observed.holder}' has taken the lease '{self._name}'"
                raise LeaseLostError(message)
            if not held and self._monotonic() >= self._renewed + self._duration * _STOP:
                self.leads = False
                why = f": {self.trouble}" if self.trouble else ""
                message = (
                    f"the lease '{self._name}' could not be renewed in {self._duration * _STOP:.0f} s"
                    f"{why}"
                )
                raise LeaseLostError(message)

    async def release(self) -> None:
        """Let another operator begin at once."""
        if not self.leads or self._lease is None:
            return
        self.leads = False
        given_up = self._body("")
        with contextlib.suppress(TenureError, ConflictError, GoneError):  # it runs out by itself
            await self._cluster.replace_lease(given_up)

    async def _try(self) -> bool:
        """Take or renew the lease, if that may be done; whether it is ours then."""
        try:
            held = await self._ask()
        except ClusterUnavailableError as error:
            self._hindered(error.message)
            return False
        except ClusterRefusedError as error:
            self._hindered(
                f"{error.message}; the operator's account needs its Role in namespace "
                f"'{self._namespace}' ({error.code})"
            )
            return False
        except GoneError as error:
            self._hindered(
                f"there is no namespace '{self._namespace}' for the lease: {error}; name one with "
                "--lease-namespace"
            )
            return False
        self.trouble = ""
        return held

    async def _ask(self) -> bool:
        """As ``_try``.  Raises: GoneError when there is no such namespace, and the errors of
        ``Cluster``."""
        sent = self._monotonic()
        try:
            self._lease = await self._cluster.lease(self._namespace, self._name)
            self._observed = observe(self._observed, self._lease, at=self._monotonic())
            what = verdict(self._observed, self._me, now=sent, duration=self._duration)
            if what == "wait":
                return False
            self._lease = await self._cluster.replace_lease(self._body(self._me))
        except GoneError:
            self._lease = None
            try:
                self._lease = await self._cluster.create_lease(self._body(self._me))
            except ConflictError:
                return False
        except ConflictError:
            return False
        self._observed = observe(self._observed, self._lease, at=self._monotonic())
        self._renewed = sent
        return True

    def _hindered(self, why: str) -> None:
        """Say it once, not at each attempt."""
        if why != self.trouble:
            _log.warning("lease cannot be used", error=why)
        self.trouble = why

    def _body(self, holder: str) -> dict[str, Any]:
        return body(
            self._namespace,
            self._name,
            holder,
            now=self._wall(),
            duration=self._duration,
            before=self._lease,
        )
