"""The load of the kill tests: keeps WIDTH orders in flight, until a line on standard input ends it.

Run in the SDK's environment: ``load.py ADDRESS WIDTH``.  Every start that was acknowledged is
remembered; a start whose outcome is unknown is repeated under the same id, as a careful client does.
At the end it waits for every order and prints one JSON object: id -> [status, output].
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import grpc
from durabletask import client

WAIT = 120.0  # seconds for one order at the end; a bound, not a target
_RETRY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def persist(action: Any) -> Any:
    """Call until the engine is there."""
    deadline = time.monotonic() + WAIT
    while True:
        try:
            return action()
        except grpc.RpcError as error:
            if error.code() not in _RETRY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def start(hub: client.TaskHubGrpcClient, instance_id: str) -> None:
    """Start one order, once."""

    def once() -> None:
        try:
            hub.schedule_new_orchestration("order", instance_id=instance_id)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise

    persist(once)


def main() -> None:
    """Load until told to stop."""
    address, width = sys.argv[1], int(sys.argv[2])
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    hub = client.TaskHubGrpcClient(host_address=address)
    results: dict[str, list[Any]] = {}
    open_orders: list[str] = []
    count = 0

    def collect(instance_id: str, timeout: float) -> bool:
        state = persist(lambda: hub.get_orchestration_state(instance_id))
        if state is not None and not state.runtime_status.name.startswith(("COMP", "FAIL", "TERM")):
            if timeout <= 0:
                return False
            state = persist(
                lambda: hub.wait_for_orchestration_completion(instance_id, timeout=timeout)
            )
        results[instance_id] = (
            ["MISSING", None]
            if state is None
            else [state.runtime_status.name, state.serialized_output]
        )
        return True

    while not stop.is_set():
        while len(open_orders) < width:
            count += 1
            instance_id = f"order-{count}"
            start(hub, instance_id)
            open_orders.append(instance_id)
        open_orders = [i for i in open_orders if not collect(i, 0)]
        stop.wait(0.02)
    for instance_id in open_orders:
        try:
            collect(instance_id, WAIT)
        except TimeoutError:
            results[instance_id] = ["STUCK", None]
    print(json.dumps(results), flush=True)


if __name__ == "__main__":
    main()
