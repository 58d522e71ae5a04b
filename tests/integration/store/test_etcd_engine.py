"""The engine on etcd: workflows run, go on after the process's end, and after its lease's.

In scope: the path from worker to key and back, with toy workers in this process, and ``tenure dev``
as a process of its own.  Out of scope: several engines of one app.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Generator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from integration.store.conftest import an_etcd_store
from support.engine import EngineFailedError, EngineProcess
from support.etcd import Certificates, Cluster
from support.one_engine import OneEngine
from support.toy import Again, All, Call, Child, Sleep
from tenure_sidecar.actors.sharing.records import Identity
from tenure_sidecar.etcd import EtcdClient
from tenure_sidecar.store.etcd import EtcdStore

Steps = Generator[Any, Any, Any]
WITHIN = 240  # seconds: a bound for a broken engine, not a target


def chain(given: str | None) -> Steps:
    total = 0
    for step in range(int(given or "5")):
        total += int((yield Call("add", str(step))))
    return str(total)


def fan(given: str | None) -> Steps:
    results = yield All([Call("add", str(i)) for i in range(int(given or "20"))])
    return str(sum(map(int, results)))


def family(given: str | None) -> Steps:
    results = yield All([Child("chain", str(i)) for i in range(int(given or "4"))])
    return ",".join(results)


def nap(given: str | None) -> Steps:
    yield Sleep(float(given or "0.1"))
    return "awake"


def loop(given: str | None) -> Steps:
    left = int(given or "3")
    if left == 0:
        return "done"
    yield Call("add", "1")
    return Again(str(left - 1))


WORKFLOWS: dict[str, Any] = {
    "chain": chain,
    "fan": fan,
    "family": family,
    "nap": nap,
    "loop": loop,
}
EXPECTED = [
    ("chain", "5", "15"),
    ("fan", "200", "20100"),
    ("family", "80", ",".join(str(n * (n + 1) // 2) for n in range(80))),
    ("nap", "0.05", "awake"),
    ("loop", "3", "done"),
]
ALONE = Identity("one", pod="one")
ACTIVITIES = {"add": lambda given: str(int(given or "0") + 1)}


@pytest.fixture
async def store(etcd_server: Cluster) -> AsyncIterator[EtcdStore]:
    store = an_etcd_store(etcd_server)
    await store.open()
    yield store
    await store.close()


async def test_every_kind_of_step(store: EtcdStore) -> None:
    one = OneEngine(workflows=WORKFLOWS, activities=ACTIVITIES, store=store, identity=ALONE)
    await one.start(workers=2)
    began = [(await one.begin(name, given), output) for name, given, output in EXPECTED]
    for instance_id, output in began:
        assert await one.finish(instance_id, within=WITHIN) == output
    await one.host.stop()


async def test_what_was_under_way_goes_on_in_the_next_process(store: EtcdStore) -> None:
    one = OneEngine(workflows=WORKFLOWS, activities=ACTIVITIES, store=store, identity=ALONE)
    await one.start()
    began = [(await one.begin(name, given), output) for name, given, output in EXPECTED]
    await one.crash()
    await one.start()
    for instance_id, output in began:
        assert await one.finish(instance_id, within=WITHIN) == output
    await one.host.stop()


async def everything(one: OneEngine) -> None:
    """Until all partitions are held."""
    async with asyncio.timeout(WITHIN):
        while len(one.host.fences()) < one.host.store.partitions:
            await asyncio.sleep(0.01)


async def test_a_lost_lease_costs_time_and_nothing_else(
    store: EtcdStore, etcd_server: Cluster
) -> None:
    admin = EtcdClient(etcd_server.urls, clock=time.monotonic)
    one = OneEngine(workflows=WORKFLOWS, activities=ACTIVITIES, store=store, identity=ALONE)
    await one.start(workers=2)
    await everything(one)
    for _ in range(2):
        began = [(await one.begin(name, given), output) for name, given, output in EXPECTED]
        idle = await one.begin("nap", "1.5")
        (lease,) = {held.lease for held in (await store.owners.roster()).owners.values()}
        await admin.revoke(lease)
        for instance_id, output in began:
            assert await one.finish(instance_id, within=WITHIN) == output
        assert await one.finish(idle, within=WITHIN) == "awake"
        await everything(one)
    assert one.host.loops.failures == {"reminders": 0, "ownership": 0, "inbox sweep": 0}
    await one.host.stop()
    await admin.close()


# --- as a process ---------------------------------------------------------------------------------


def ask(engine: EngineProcess, method: str, path: str) -> dict[str, Any]:
    connection = HTTPConnection("127.0.0.1", engine.http_port, timeout=60)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        assert answer.status < 300, answer.read()
        found: dict[str, Any] = json.loads(answer.read() or b"{}")
        return found
    finally:
        connection.close()


async def test_tenure_dev_keeps_its_workflows_in_etcd(tmp_path: Path, etcd_server: Cluster) -> None:
    hosts = ",".join(url.removeprefix("http://") for url in etcd_server.urls)
    url = f"etcd://{hosts}/{uuid.uuid4().hex}?lease=2"
    engine = EngineProcess(tmp_path, store=url)
    try:
        assert f"store {url}" in await asyncio.to_thread(engine.start)
        path = "/v1.0/workflows/dapr"
        await asyncio.to_thread(ask, engine, "POST", f"{path}/order/start?instanceID=kept")
        engine.kill()
        await asyncio.to_thread(engine.start)
        found = await asyncio.to_thread(ask, engine, "GET", f"{path}/kept")
        assert found["runtimeStatus"] == "PENDING"
        await asyncio.to_thread(ask, engine, "POST", f"{path}/kept/terminate")
        assert engine.stop() == 0
        await asyncio.to_thread(engine.start)
        found = await asyncio.to_thread(ask, engine, "GET", f"{path}/kept")
        assert found["runtimeStatus"] == "TERMINATED"
        assert engine.stop() == 0
    finally:
        engine.close()


async def test_tenure_dev_over_tls_and_with_a_user(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "certificates")
    cert, key = certificates.issue("root")
    with Cluster(tmp_path / "etcd", certificates=certificates, client_certificates=True) as cluster:
        tls = ("--cacert", str(certificates.ca), "--cert", str(cert), "--key", str(key))
        cluster.ctl("user", "add", "root:rootpw", tls=tls)
        cluster.ctl("user", "grant-role", "root", "root", tls=tls)
        cluster.ctl("auth", "enable", tls=tls)
        host = cluster.urls[0].removeprefix("https://")
        files = [f"--etcd-ca={certificates.ca}", f"--etcd-cert={cert}", f"--etcd-key={key}"]
        named = [*files, "--etcd-user=root"]
        for arguments, works in [
            ([*named, "--etcd-password=rootpw"], True),
            ([*named, "--etcd-password=wrong"], False),
        ]:
            engine = EngineProcess(tmp_path, store=f"etcd://{host}", args=arguments)
            try:
                if works:
                    await asyncio.to_thread(engine.start)
                    assert engine.stop() == 0
                else:
                    with pytest.raises(EngineFailedError, match="TN0603"):
                        await asyncio.to_thread(engine.start)
            finally:
                engine.close()
