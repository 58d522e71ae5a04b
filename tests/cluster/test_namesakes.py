"""Two live sidecars of an app that run under one name, on a real etcd: both say so.

In scope: what they log and show, and that a restart under the same name is none of it.  When it is to
be said is in tests/unit/actors/test_namesake.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.engine import EngineProcess
from support.etcd import Cluster
from support.fleet import LEASE, WITHIN
from support.ports import free_ports

CODE = "TN0011"
THERE = "tenure_name_in_use_twice"
OWNED = "tenure_partitions_owned"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[list[tuple[EngineProcess, int]]]:
    """Two sidecars with one name, not started, and the ports for their peers."""
    with Cluster(tmp_path / "etcd") as cluster, ExitStack() as stack:
        store = f"etcd://127.0.0.1:{cluster.members[0].client_port}?lease={LEASE}"
        made = []
        for cell, port in enumerate(free_ports(2)):
            folder = tmp_path / f"cell-{cell}"
            folder.mkdir()
            args = ["--pod-name=orders-0", f"--pod-uid=uid-{cell}", "--pod-ip=127.0.0.1"]
            args.append(f"--peers-port={port}")
            engine = EngineProcess(folder, app_id="orders", role="sidecar", store=store, args=args)
            stack.callback(engine.close)
            made.append((engine, port))
        yield made


def said(engine: EngineProcess) -> list[str]:
    """What it logged of it."""
    return [line for line in engine.log.read_text(errors="replace").splitlines() if CODE in line]


def until(engines: list[EngineProcess], name: str) -> None:
    """Wait until the metric of each is above zero."""
    deadline = time.monotonic() + WITHIN
    while not all(one.metric(name) > 0 for one in engines):
        assert time.monotonic() < deadline, "\n".join(one.tail(15) for one in engines)
        time.sleep(0.1)  # a poll of another process


def test_both_of_two_live_ones_say_so(pair: list[tuple[EngineProcess, int]]) -> None:
    engines = [engine for engine, _ in pair]
    for engine in engines:
        engine.start()
    until(engines, THERE)
    for (engine, _), (_, other) in zip(pair, reversed(pair), strict=True):
        (line,) = said(engine)
        assert "orders-0" in line
        assert f"127.0.0.1:{other}" in line


def test_one_that_was_killed_and_started_again_is_alone(
    pair: list[tuple[EngineProcess, int]],
) -> None:
    first, second = (engine for engine, _ in pair)
    first.start()
    until([first], OWNED)
    first.kill()
    second.start()
    until([second], OWNED)
    assert said(second) == []
    assert second.metric(THERE) == 0
