"""The follower: rounds over a cluster in memory, time as an argument.

Out of scope: what etcd makes of its users (tests/integration/etcd), and what the API server allows
(tests/kubernetes).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from support.upkeep import START, Cluster
from tenure_common.errors import BadCertificateError, ClusterApiError, EtcdUnavailableError
from tenure_common.kube import Json
from tenure_sidecar.upkeep.config import UpkeepConfig, wanted
from tenure_sidecar.upkeep.follow import (
    BETWEEN,
    RETRY,
    STUCK_AFTER,
    TELL_AFTER,
    WATCH_FOR,
    Follower,
)
from tenure_sidecar.upkeep.keys import Keys

JOB = UpkeepConfig(namespace="sys", full_name="tenure", etcd_members=3)
CONFIG = msgspec.structs.replace(JOB, follow=True)
READY = (
    "user tenure:shop of etcd is there, Secrets tenure-store and tenure-peers have their "
    "certificates"
)


class EndError(Exception):
    """The test has seen enough."""


class Users:
    """Etcd's, in memory; each with the prefix of its keys."""

    def __init__(self) -> None:
        self.held = {"root": b"", "tenure-gateway": b"/tenure/"}

    async def allow(self, user: str, prefix: bytes) -> bool:
        new = self.held.get(user) != prefix
        self.held[user] = prefix
        return new

    async def names(self) -> list[str]:
        return sorted(self.held)

    async def forget(self, user: str) -> bool:
        return self.held.pop(user, None) is not None


class World(Cluster):
    """Namespaces beside the rest, and an etcd that may be away."""

    def __init__(self) -> None:
        super().__init__(*(one.secret for one in wanted(JOB)))
        self.users = Users()
        self.labels: dict[str, tuple[str, str | None]] = {}  # name to uid and label
        self.version = 0
        self.ending: set[str] = set()  # namespaces
        self.silent = False
        self.etcd_away = False
        self.now = 0.0  # seconds since START
        self.waits: list[tuple[str, float]] = []  # version that is waited with, seconds
        self.scene: list[Callable[[], None]] = []  # what happens in each wait; then the end

    def label(self, name: str, label: str | None = "true", *, uid: str = "") -> None:
        """Create or label a namespace."""
        self.labels[name] = (uid or f"uid-of-{name}", label)

    def delete(self, name: str) -> None:
        """With all that is in it."""
        del self.labels[name]
        self.secrets = {
            key: one for key, one in self.secrets.items() if not key.startswith(f"{name}/")
        }

    async def call(
        self, what: str, method: str, path: str, body: Json | None = None, **more: Any
    ) -> Json:
        if what != "list namespaces":
            return await super().call(what, method, path, body, **more)
        if self.silent:
            message = "the Kubernetes API: list namespaces failed: TimeoutError"
            raise ClusterApiError(message)
        self.version += 1
        items = []
        for name, (uid, label) in self.labels.items():
            labels = {} if label is None else {"tenure.dev/store": label}
            meta: Json = {"name": name, "uid": uid, "labels": labels}
            if name in self.ending:
                meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            items.append({"metadata": meta})
        return {"metadata": {"resourceVersion": str(self.version)}, "items": items}

    async def changed(self, what: str, path: str, *, version: str, within: float) -> None:
        assert (what, path) == ("watch namespaces", "/api/v1/namespaces")
        self.waits.append((version, within))
        await self.pause(within)
        if self.silent:
            message = "the Kubernetes API: watch namespaces failed: 500"
            raise ClusterApiError(message)

    async def pause(self, seconds: float) -> None:
        """Time passes; after the least pause nothing happens."""
        self.now += seconds
        if seconds == BETWEEN:
            return
        if not self.scene:
            raise EndError
        self.scene.pop(0)()

    @asynccontextmanager
    async def administrator(self) -> AsyncGenerator[Any]:
        if self.etcd_away:
            message = "etcd: no member answers"
            raise EtcdUnavailableError(message)
        yield SimpleNamespace(users=self.users)

    def follower(self, config: UpkeepConfig = CONFIG) -> Follower:
        return Follower(
            self,
            config,
            administrator=self.administrator if config.etcd_members else None,
            wall=lambda: int((START + self.now) * 1_000_000_000),
            monotonic=lambda: self.now,
            pause=self.pause,
        )

    def told(self, namespace: str) -> list[str]:
        """Reasons of the Events there."""
        return [reason for where, reason, _ in self.events if where == namespace]


@pytest.fixture
async def world() -> World:
    """An installation whose Job is done."""
    world = World()
    await Keys(world, JOB).look(START)
    return world


async def test_a_label_gives_user_and_secrets(world: World) -> None:
    world.label("shop")
    world.label("other", None)
    follower = world.follower()
    await follower.round()
    assert world.users.held["tenure:shop"] == b"/tenure/shop/"
    assert world.leaf("shop/tenure-store").subject.rfc4514_string() == "CN=tenure:shop"
    assert world.text("shop/tenure-peers", "ca.crt") == world.text("tenure-ca", "ca.crt")
    assert not [one for one in world.secrets if one.startswith("other")]
    assert world.events == [
        (
            "shop",
            "StoreReady",
            READY,
        )
    ]
    assert follower.counts == {("served",): 1, ("refused",): 0, ("failed",): 0}


async def test_nothing_of_the_installations_own_is_written(world: World) -> None:
    own = {name: one for name, one in world.secrets.items() if "/" not in name}
    world.label("shop")
    world.ask("tenure-etcd-root")  # the Job's to do
    world.etcd["metadata"]["generation"] = 7
    await world.follower().round()
    assert {name: one for name, one in world.secrets.items() if "/" not in name} == own
    assert world.etcd["metadata"]["generation"] == 7


async def test_a_second_round_does_nothing(world: World) -> None:
    world.label("shop")
    follower = world.follower()
    await follower.round()
    before = dict(world.secrets)
    await follower.round()
    world.now += CONFIG.look_every
    await follower.round()
    assert world.secrets == before
    assert len(world.events) == 1


async def test_one_that_begins_anew_tells_nobody_again(world: World) -> None:
    world.label("shop")
    await world.follower().round()
    await world.follower().round()
    assert len(world.events) == 1


async def test_without_the_label_access_ends_and_with_it_it_is_back_at_once(world: World) -> None:
    world.label("shop")
    follower = world.follower()
    await follower.round()
    world.label("shop", None)
    await follower.round()
    assert "tenure:shop" not in world.users.held
    assert "tenure-gateway" in world.users.held
    assert "shop/tenure-store" in world.secrets
    world.label("shop")
    await follower.round()
    assert "tenure:shop" in world.users.held
    assert world.told("shop") == ["StoreReady", "StoreEnded", "StoreReady"]


async def test_with_the_namespace_its_user_goes(world: World) -> None:
    world.label("shop")
    world.label("bank")
    follower = world.follower()
    await follower.round()
    world.delete("shop")
    await follower.round()
    assert sorted(world.users.held) == ["root", "tenure-gateway", "tenure:bank"]
    world.label("shop", uid="another")
    await follower.round()
    assert "tenure:shop" in world.users.held
    assert "shop/tenure-store" in world.secrets


async def test_nobody_loses_access_while_the_api_server_is_silent(world: World) -> None:
    world.label("shop")
    follower = world.follower()
    await follower.round()
    world.silent = True
    with pytest.raises(ClusterApiError):
        await follower.round()
    assert "tenure:shop" in world.users.held


async def test_listed_namespaces_need_no_label(world: World) -> None:
    world.label("shop", None)
    await world.follower(msgspec.structs.replace(CONFIG, app_namespaces=("shop", "gone"))).round()
    assert "tenure:shop" in world.users.held
    assert "tenure:gone" not in world.users.held
    assert "shop/tenure-peers" in world.secrets


async def test_what_cannot_be_done_is_told_there_and_keeps_nobody_waiting(world: World) -> None:
    world.label("bank")
    world.label("shop")
    world.locked.add("bank")
    follower = world.follower()
    await follower.round()
    await follower.round()
    ((_, reason, text),) = [one for one in world.events if one[0] == "bank"]
    assert reason == "StoreFailed"
    assert "Secret tenure-store: " in text
    assert "quota" in text
    assert world.told("shop") == ["StoreReady"]
    assert follower.counts["failed",] == 1
    world.locked.clear()
    await follower.round()
    assert world.told("bank") == ["StoreFailed"], "not so soon"
    world.now += RETRY
    await follower.round()
    assert world.told("bank") == ["StoreFailed", "StoreReady"]
    assert follower.counts == {("served",): 2, ("refused",): 0, ("failed",): 0}


async def test_a_label_that_does_not_count_is_told_once(world: World) -> None:
    world.label("shop", "enabled")
    world.label("kube-system")
    follower = world.follower()
    await follower.round()
    await follower.round()
    assert world.told("shop") == world.told("kube-system") == ["StoreRefused"]
    assert "tenure:shop" not in world.users.held
    assert not [one for one in world.secrets if one.startswith("kube-system")]


async def test_users_come_before_secrets(world: World) -> None:
    """An engine that finds its certificate can use it."""
    world.label("shop")
    world.etcd_away = True
    with pytest.raises(EtcdUnavailableError):
        await world.follower().round()
    assert "shop/tenure-store" not in world.secrets


async def test_before_the_job_has_made_the_authority_nothing_is_made() -> None:
    world = World()
    world.label("shop")
    with pytest.raises(BadCertificateError, match="Job has yet to fill it"):
        await world.follower().round()
    assert "shop/tenure-store" not in world.secrets


async def test_with_an_etcd_of_ones_own_there_are_no_users(world: World) -> None:
    world.label("shop")
    await world.follower(msgspec.structs.replace(CONFIG, etcd_members=0)).round()
    assert "tenure:shop" not in world.users.held
    assert [one for one in world.secrets if one.startswith("shop/")] == ["shop/tenure-peers"]


async def test_certificates_are_renewed_there_too(world: World) -> None:
    world.label("shop")
    follower = world.follower()
    await follower.round()
    before = world.leaf("shop/tenure-store")
    world.now = 61 * 86_400.0
    await follower.round()
    assert world.leaf("shop/tenure-store") != before
    assert world.told("shop") == ["StoreReady"]


# --- the loop -------------------------------------------------------------------------------------


async def test_it_waits_for_a_change_of_what_it_has_seen(world: World) -> None:
    follower = world.follower()
    world.scene = [lambda: world.label("shop"), lambda: None]
    with pytest.raises(EndError):
        await follower.run()
    versions = [int(version) for version, _ in world.waits]
    assert versions == sorted(set(versions)), "each wait is for what came after its own list"
    assert world.told("shop") == ["StoreReady"]
    assert [one for _, one in world.waits] == [WATCH_FOR] * 3


async def test_it_waits_no_longer_than_until_the_next_look(world: World) -> None:
    world.label("shop")
    world.scene = [lambda: None, lambda: None]
    config = msgspec.structs.replace(CONFIG, look_every=30.0)
    with pytest.raises(EndError):
        await world.follower(config).run()
    assert [one for _, one in world.waits] == [30.0 - BETWEEN] * 3


async def test_a_namespace_that_does_not_come_to_its_end_is_no_reason_to_hurry(
    world: World,
) -> None:
    """Its pods keep their access until they have ended."""
    world.label("shop")
    follower = world.follower()
    world.scene = [lambda: world.ending.add("shop"), lambda: None]
    with pytest.raises(EndError):
        await follower.run()
    assert "tenure:shop" in world.users.held
    assert world.waits[-1][1] == WATCH_FOR
    assert world.told("shop") == ["StoreReady"]


async def test_it_says_that_it_has_not_begun_and_what_is_wrong(world: World) -> None:
    follower = world.follower()
    assert follower.trouble == "no namespace has been looked at yet"
    world.silent = True

    def back() -> None:
        assert "list namespaces failed" in follower.trouble
        world.silent = False

    world.scene = [back]
    with pytest.raises(EndError):
        await follower.run()
    assert follower.trouble == ""
    assert follower.rounds == {("done",): 1, ("failed",): 1}


async def test_a_watch_that_fails_is_no_reason_to_hurry(world: World) -> None:
    follower = world.follower()

    def away() -> None:
        world.silent = True

    world.scene = [away]
    with pytest.raises(EndError):
        await follower.run()
    assert "watch namespaces failed" in follower.trouble
    assert follower.rounds["failed",] == 1


async def test_whoever_waits_for_etcd_is_told_once_and_not_at_once(world: World) -> None:
    world.label("shop")
    world.etcd_away = True
    seen: list[list[str]] = []

    def look() -> None:
        seen.append(world.told("shop"))

    def back() -> None:
        world.etcd_away = False

    world.scene = [*[look] * (TELL_AFTER + 3), back]
    with pytest.raises(EndError):
        await world.follower().run()
    assert seen == [*[[]] * TELL_AFTER, *[["StoreDelayed"]] * 3]
    assert world.told("shop") == ["StoreDelayed", "StoreReady"]


async def test_a_round_that_does_not_end_is_not_live(world: World) -> None:
    follower = world.follower()
    seen: list[str] = []

    async def slow(*_: object, **__: object) -> Json:
        seen.append(follower.stuck())
        world.now += STUCK_AFTER
        seen.append(follower.stuck())
        raise EndError

    world.call = slow  # type: ignore[method-assign]
    with pytest.raises(EndError):
        await follower.run()
    assert seen[0] == ""
    assert "have been looked at for" in seen[1]
