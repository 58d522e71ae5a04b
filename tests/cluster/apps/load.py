"""The load of the tests with faults: keeps WIDTH orders in flight until it is told to stop.

Run in the SDK's environment: ``load.py ADDRESSES WIDTH COUNT PAUSE``.  ADDRESSES are those of all
engines, with commas; each call goes to any of them, and to another one when that is away.  PAUSE is the
milliseconds of an order's timer.  A line on standard input ends it; so do COUNT orders, when that is not
0.  Every start that was acknowledged is remembered; a start whose outcome is unknown is repeated under
the same id, as a careful client does.  At the end it waits for every order and prints one JSON object:
id -> [status, output, or why it failed].
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from durabletask import client

WAIT = 120.0  # seconds for one order; a bound, not a target
_AT_ONCE = 5.0  # seconds of one call that waits
_RETRY = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,  # etcd is full
)

Hub = client.TaskHubGrpcClient


class Load:
    """Clients of all engines, and what became of the orders."""

    def __init__(self, addresses: Sequence[str], count: int, pause: int) -> None:
        self._hubs = [Hub(host_address=address) for address in addresses]
        self._numbers = itertools.count(1)
        self._count = count
        self._pause = pause
        self.stop = threading.Event()
        self.results: dict[str, list[Any]] = {}

    def slot(self) -> None:
        """One order after the other."""
        while not self.stop.is_set():
            number = next(self._numbers)
            if self._count and number > self._count:
                return
            instance_id = f"order-{number}"
            try:
                self.results[instance_id] = self._order(instance_id)
            except TimeoutError:
                self.results[instance_id] = ["STUCK", None]

    def _order(self, instance_id: str) -> list[Any]:
        self._persist(lambda hub: self._start(hub, instance_id))
        self._persist(lambda hub: hub.raise_orchestration_event(instance_id, "paid", data="yes"))
        state = self._persist(
            lambda hub: hub.wait_for_orchestration_completion(instance_id, timeout=_AT_ONCE)
        )
        if state is None:
            return ["MISSING", None]
        failure = state.failure_details
        said = failure and f"{failure.error_type}: {failure.message}"
        return [state.runtime_status.name, said or state.serialized_output]

    def _start(self, hub: Hub, instance_id: str) -> None:
        try:
            hub.schedule_new_orchestration("order", instance_id=instance_id, input=self._pause)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise

    def _persist(self, action: Callable[[Hub], Any]) -> Any:
        """Call one engine or the other until it is done.  Raises: TimeoutError."""
        deadline = time.monotonic() + WAIT
        while True:
            try:
                return action(random.choice(self._hubs))
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise
            except grpc.RpcError as error:
                if error.code() not in _RETRY:
                    raise
                if time.monotonic() > deadline:
                    raise TimeoutError from error
                time.sleep(0.05)


def main() -> None:
    """Load until told to stop."""
    width, count, pause = map(int, sys.argv[2:])
    load = Load(sys.argv[1].split(","), count, pause)
    threading.Thread(target=lambda: (sys.stdin.readline(), load.stop.set()), daemon=True).start()
    slots = [threading.Thread(target=load.slot) for _ in range(width)]
    for slot in slots:
        slot.start()
    for slot in slots:
        slot.join()
    print(json.dumps(load.results), flush=True)


if __name__ == "__main__":
    main()
