"""The certificate against the cluster: conflicts between replicas, trust before use, outages.

The cluster is a small in-memory one with resource versions; the real API server is in
tests/kubernetes.  Time is an argument.
"""

from __future__ import annotations

import base64
import copy
from typing import Any

import msgspec
import pytest

from support.pods import CONFIG
from tenure_common.errors import BadCertificateError, ClusterApiError
from tenure_common.pki import authority
from tenure_injector.config import DAY
from tenure_injector.meters import Meters
from tenure_injector.pods import Json
from tenure_injector.rotation import Rotation, pack, unpack

NAMES = frozenset({"tenure-injector.tenure-system.svc"})
WEBHOOKS = ("annotation.inject.tenure.dev", "label.inject.tenure.dev")
START = 1_800_000_000.0


class Cluster:
    """One Secret and one webhook configuration, with resource versions."""

    def __init__(self) -> None:
        self.version = 1
        self.stored: Json = {
            "metadata": {"namespace": "tenure-system", "name": "s", "resourceVersion": "1"},
            "type": "Opaque",
        }
        self.configuration: Json = {
            "metadata": {"name": "tenure-injector", "resourceVersion": "1"},
            "webhooks": [{"name": name, "clientConfig": {"service": {}}} for name in WEBHOOKS],
        }
        self.writes: list[str] = []
        self.away = False
        self.before_write: Any = None

    def _check(self) -> None:
        if self.away:
            raise ClusterApiError("the Kubernetes API: away")

    async def secret(self, namespace: str, name: str) -> Json:
        self._check()
        assert (namespace, name) == (CONFIG.namespace, CONFIG.certificate_secret)
        return copy.deepcopy(self.stored)

    async def replace_secret(self, secret: Json) -> bool:
        self._check()
        if self.before_write is not None:
            first, self.before_write = self.before_write, None
            await first()
        if secret["metadata"]["resourceVersion"] != self.stored["metadata"]["resourceVersion"]:
            return False
        self.stored = self._next(secret)
        self.writes.append("secret")
        return True

    async def webhook(self, name: str) -> Json:
        self._check()
        assert name == CONFIG.webhook
        return copy.deepcopy(self.configuration)

    async def patch_webhook(self, name: str, patch: Json) -> bool:
        self._check()
        version = patch["metadata"]["resourceVersion"]
        if version != self.configuration["metadata"]["resourceVersion"]:
            return False
        changed = copy.deepcopy(self.configuration)
        for one in patch["webhooks"]:
            (found,) = [each for each in changed["webhooks"] if each["name"] == one["name"]]
            found["clientConfig"] |= one["clientConfig"]
        self.configuration = self._next(changed)
        self.writes.append("webhook")
        return True

    def _next(self, document: Json) -> Json:
        self.version += 1
        changed = copy.deepcopy(document)
        changed["metadata"]["resourceVersion"] = str(self.version)
        return changed

    @property
    def trusted(self) -> set[bytes]:
        bundles = [one["clientConfig"]["caBundle"] for one in self.configuration["webhooks"]]
        assert len(set(bundles)) == 1
        text = base64.b64decode(bundles[0])
        return set(text.split(b"-----END CERTIFICATE-----\n")) - {b""}


class Replica:
    """One replica, and what it serves."""

    def __init__(self, cluster: Cluster, now: list[float], **config: Any) -> None:
        self.meters = Meters()
        self.served: list[bytes] = []
        self.rotation = Rotation(
            cluster,
            config=msgspec.structs.replace(CONFIG, **config),
            names=NAMES,
            now=lambda: now[0],
            use=lambda certificate, _key: self.served.append(certificate),
            meters=self.meters,
        )


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def now() -> list[float]:
    return [START]


async def test_first_look_makes_everything(cluster: Cluster, now: list[float]) -> None:
    replica = Replica(cluster, now)
    assert replica.rotation.problem
    await replica.rotation.look()
    held = unpack(cluster.stored)
    assert replica.served == [held.certificate]
    assert replica.rotation.problem == ""
    assert replica.rotation.served.is_set()
    assert cluster.trusted == {held.bundle.split(b"-----END CERTIFICATE-----\n")[0]}
    assert cluster.writes == ["secret", "webhook"]
    assert replica.meters.certificate_end == START + 90 * DAY


async def test_second_look_writes_nothing(cluster: Cluster, now: list[float]) -> None:
    replica = Replica(cluster, now)
    await replica.rotation.look()
    del cluster.writes[:]
    await replica.rotation.look()
    assert cluster.writes == []
    assert len(replica.served) == 1, "the same certificate is not loaded again"


async def test_replicas_that_start_together_agree(cluster: Cluster, now: list[float]) -> None:
    one, two = Replica(cluster, now), Replica(cluster, now)
    cluster.before_write = two.rotation.look  # between reading and writing of the first
    await one.rotation.look()
    assert one.served == two.served
    assert cluster.writes.count("secret") == 1
    assert (one.meters.certificates, two.meters.certificates) == ({}, {("found",): 1})


async def test_a_replica_that_cannot_win_gives_up_and_says_so(
    cluster: Cluster, now: list[float]
) -> None:
    replica = Replica(cluster, now)

    async def lose(_secret: Json) -> bool:
        return False

    cluster.replace_secret = lose  # type: ignore[method-assign]
    with pytest.raises(ClusterApiError, match="being changed all the time"):
        await replica.rotation.look()


async def test_two_years_without_an_untrusted_certificate(
    cluster: Cluster, now: list[float]
) -> None:
    replicas = [Replica(cluster, now), Replica(cluster, now)]
    for _ in range(2 * 365 * 2):
        for replica in replicas:
            await replica.rotation.look()
            material = unpack(cluster.stored)
            held = authority.read(material)
            assert held.leaf is not None
            assert held.leaf.issuer, "the leaf is of an authority in the bundle"
            assert cluster.trusted == set(material.bundle.split(b"-----END CERTIFICATE-----\n")) - {
                b""
            }
        assert replicas[0].served[-1] == replicas[1].served[-1] == material.certificate
        now[0] += DAY / 2
    steps = replicas[0].meters.certificates + replicas[1].meters.certificates
    assert steps["found",] == 1
    assert steps["stage",] == 2  # after 243 and 487 days
    assert steps["issue",] >= 12


async def test_a_new_authority_is_used_only_when_it_was_found_published(
    cluster: Cluster, now: list[float]
) -> None:
    replica = Replica(cluster, now, authority_life=300 * DAY, certificate_life=299 * DAY)
    await replica.rotation.look()
    first = replica.served[-1]
    # The Secret moves on while the webhook configuration cannot be changed.
    now[0] += 200 * DAY
    staged = authority.stage(unpack(cluster.stored), name="old", now=now[0], life=300 * DAY)
    cluster.stored["data"] = pack(staged)
    now[0] += DAY  # settled long ago, by the clock
    await replica.rotation.look()
    assert replica.served[-1] == first, "published just now, so not used yet"
    await replica.rotation.look()
    assert replica.served[-1] != first


async def test_outage_changes_nothing(cluster: Cluster, now: list[float]) -> None:
    replica = Replica(cluster, now)
    await replica.rotation.look()
    cluster.away = True
    with pytest.raises(ClusterApiError):
        await replica.rotation.look()
    assert replica.rotation.problem == "", "what is valid goes on"
    now[0] += 91 * DAY
    assert replica.rotation.problem == "the certificate has expired"


async def test_lost_bundle_is_put_back(cluster: Cluster, now: list[float]) -> None:
    replica = Replica(cluster, now)
    await replica.rotation.look()
    before = cluster.trusted
    for one in cluster.configuration["webhooks"]:
        del one["clientConfig"]["caBundle"]
    await replica.rotation.look()
    assert cluster.trusted == before


async def test_lost_secret_data_is_made_anew(cluster: Cluster, now: list[float]) -> None:
    replica = Replica(cluster, now)
    await replica.rotation.look()
    cluster.stored["data"] = None
    await replica.rotation.look()
    assert len(replica.served) == 2
    assert cluster.trusted


async def test_other_keys_of_the_secret_stay(cluster: Cluster, now: list[float]) -> None:
    cluster.stored["data"] = {"note": "eA=="}
    await Replica(cluster, now).rotation.look()
    assert cluster.stored["data"]["note"] == "eA=="


@pytest.mark.parametrize("text", ["%%%", "eA", 7], ids=["no-base64", "cut", "number"])
async def test_spoilt_secret_is_told(cluster: Cluster, now: list[float], text: Any) -> None:
    cluster.stored["data"] = {"ca.crt": text}
    with pytest.raises(BadCertificateError, match="cannot be read"):
        await Replica(cluster, now).rotation.look()


@pytest.mark.parametrize(
    ("lives", "seconds"),
    [
        ({}, 10.0),
        ({"certificate_life": 300.0}, 5.0),
        ({"certificate_life": 10.0, "authority_life": 1000.0}, 1.0),
    ],
)
def test_short_lives_are_looked_at_more_often(
    cluster: Cluster, now: list[float], lives: dict[str, float], seconds: float
) -> None:
    assert Replica(cluster, now, **lives).rotation.look_every == seconds
