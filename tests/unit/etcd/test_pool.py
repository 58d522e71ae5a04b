"""A channel that does not connect is replaced.  Out of scope: real ones (tests/integration/etcd)."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from support.virtual import in_virtual_time
from tenure_common.errors import EtcdUnavailableError
from tenure_sidecar.etcd.pool import Pool

State = grpc.ChannelConnectivity


class Channel:
    """What a pool sees of a channel; ``become`` is what the network does to it."""

    def __init__(self, state: grpc.ChannelConnectivity) -> None:
        self.state = state
        self._changed = asyncio.Event()

    def get_state(self, try_to_connect: bool) -> grpc.ChannelConnectivity:
        assert try_to_connect
        return self.state

    async def wait_for_state_change(self, last: grpc.ChannelConnectivity) -> None:
        while self.state is last:
            self._changed.clear()
            await self._changed.wait()

    def become(self, state: grpc.ChannelConnectivity) -> None:
        self.state = state
        self._changed.set()

    async def close(self, _grace: float | None = None) -> None:
        self.become(State.SHUTDOWN)


class Network:
    """Makes channels in the state in which connecting now ends."""

    def __init__(self, state: grpc.ChannelConnectivity) -> None:
        self.state = state
        self.channels: list[Channel] = []

    def dial(self, _target: str, _credentials: Any) -> Channel:
        self.channels.append(Channel(self.state))
        return self.channels[-1]

    def pool(self) -> Pool:
        clock = asyncio.get_running_loop().time
        return Pool(["http://etcd.invalid:2379"], tls=None, clock=clock, dial=self.dial)


@in_virtual_time
async def test_a_name_without_an_address_is_looked_up_by_a_new_channel() -> None:
    network = Network(State.TRANSIENT_FAILURE)
    pool = network.pool()
    with pytest.raises(EtcdUnavailableError, match="nothing was changed"):
        await pool.ready(20.0)
    network.state = State.READY  # the old channels look again in two minutes at the latest
    endpoint = await pool.ready(6.0)
    assert endpoint.channel is network.channels[-1]
    assert [one.state for one in network.channels[:-1]] == [State.SHUTDOWN] * 4
    await pool.close()


@in_virtual_time
async def test_a_channel_that_tries_again_and_again_is_replaced_too() -> None:
    network = Network(State.CONNECTING)
    pool = network.pool()
    (first,) = network.channels
    for _ in range(8):
        await asyncio.sleep(1.0)
        first.become(State.TRANSIENT_FAILURE)
        await asyncio.sleep(0.1)
        first.become(State.CONNECTING)
    assert len(network.channels) == 2
    await pool.close()


@in_virtual_time
async def test_a_connection_stays_as_long_as_it_lives() -> None:
    network = Network(State.READY)
    pool = network.pool()
    await asyncio.sleep(1_000.0)
    (only,) = network.channels
    only.become(State.IDLE)  # the server went away
    await asyncio.sleep(1.0)
    only.become(State.READY)
    assert (await pool.ready(1.0)).channel is only
    await pool.close()
