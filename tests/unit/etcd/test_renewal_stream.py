"""Several leases share a stream of renewals: what ends it for one is an error for the others.

Out of scope: real servers (tests/integration/etcd/test_etcd_lease).
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.virtual import in_virtual_time
from tenure_common.errors import EtcdUnavailableError
from tenure_sidecar.etcd.lease import KeepAlives, Lease, Term


class Call:
    """A stream to a server that reads nothing, as gRPC shows it: whoever writes or reads when it is
    cancelled gets a CancelledError, though nobody cancelled the task."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self._cancelled = asyncio.Event()

    async def write(self, request: Any) -> None:
        self.written.append(request.id)
        await self.read()

    async def read(self) -> None:
        await self._cancelled.wait()
        raise asyncio.CancelledError

    def cancel(self) -> None:
        self._cancelled.set()


class Etcd:
    """Pool, endpoint and tokens in one."""

    url = "http://etcd.invalid:2379"

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def stream(self, _method: Any, _metadata: Any) -> Call:
        self.calls.append(Call())
        return self.calls[-1]

    def look(self) -> None: ...

    def left(self, _endpoint: Any) -> bool:
        return False

    def failed(self, _endpoint: Any) -> None: ...

    async def ready(self, _within: float) -> Etcd:
        return self

    async def metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    def keep_alives(self) -> KeepAlives:
        both: Any = self
        clock = asyncio.get_running_loop().time
        return KeepAlives(both, both, clock=clock, told=lambda _revision: None)


@in_virtual_time
async def test_a_stream_that_ends_under_a_write_is_an_error_of_etcds() -> None:
    keep_alives = Etcd().keep_alives()
    late, other = (
        asyncio.ensure_future(keep_alives.renew(lease, within=within))
        for lease, within in ((1, 1.0), (2, 60.0))
    )
    with pytest.raises(EtcdUnavailableError, match="no answer"):
        await late
    with pytest.raises(EtcdUnavailableError):
        await other


@in_virtual_time
async def test_a_lease_is_renewed_on_when_anothers_renewal_ends_the_stream() -> None:
    etcd = Etcd()
    keep_alives = etcd.keep_alives()
    clock = asyncio.get_running_loop().time

    async def revoke(_lease: int) -> None: ...

    lease = Lease(Term(2, 60, clock()), keep_alives, revoke=revoke, clock=clock)
    while not etcd.calls:
        await asyncio.sleep(1.0)
    with pytest.raises(EtcdUnavailableError):
        await keep_alives.renew(1, within=1.0)
    while len(etcd.calls) < 2:
        assert not lease.lost.is_set()
        await asyncio.sleep(1.0)
    assert lease.alive()
    await lease.lost.wait()
    assert clock() == pytest.approx(lease.term.deadline)


@in_virtual_time
async def test_who_goes_away_under_a_write_is_gone() -> None:
    keep_alives = Etcd().keep_alives()
    renewing = asyncio.ensure_future(keep_alives.renew(1, within=60.0))
    await asyncio.sleep(1.0)
    renewing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await renewing
