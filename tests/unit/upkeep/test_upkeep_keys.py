"""The certificates of an installation through the years: a small cluster in memory, time as an argument.

The law: whoever checks a certificate with a bundle that had the time to arrive finds its authority in
it, and so does etcd with the bundle that it started with.
"""

from __future__ import annotations

import base64

import msgspec
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID

from support.upkeep import START, Cluster
from tenure_common.errors import BadCertificateError, ClusterApiError
from tenure_sidecar.peers.tls import app_name, names
from tenure_sidecar.upkeep.config import DAY, UpkeepConfig, left_over, wanted
from tenure_sidecar.upkeep.keys import STARTED_WITH, Keys

CONFIG = UpkeepConfig(namespace="sys", full_name="tenure", etcd_members=3, gateway=True)
LEAVES = tuple(one.secret for one in wanted(CONFIG))


def vouches(bundle: bytes, leaf: x509.Certificate, now: float) -> bool:
    return any(
        one.subject == leaf.issuer
        and one.public_key() == _signer(one, leaf)
        and one.not_valid_after_utc.timestamp() > now
        for one in x509.load_pem_x509_certificates(bundle)
    )


def _signer(one: x509.Certificate, leaf: x509.Certificate) -> object:
    try:
        leaf.verify_directly_issued_by(one)
    except (InvalidSignature, ValueError):
        return None
    return one.public_key()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(*LEAVES)


async def look(cluster: Cluster, now: float, config: UpkeepConfig = CONFIG) -> list[str]:
    keys = Keys(cluster, config)
    await keys.look(now)
    return keys.done


async def test_at_first_all_is_made_and_nothing_is_started_again(cluster: Cluster) -> None:
    done = await look(cluster, START)
    assert done == ["authority made", *(f"{one}: certificate made" for one in LEAVES)]
    assert STARTED_WITH not in str(cluster.etcd)
    for name in LEAVES:
        assert vouches(cluster.text(name, "ca.crt"), cluster.leaf(name), START), name
    assert "ca.key" not in cluster.secrets["tenure-etcd-root"]["data"]
    assert await look(cluster, START + 1) == []


async def test_who_is_named_and_for_which_hosts(cluster: Cluster) -> None:
    await look(cluster, START)

    def of(name: str) -> tuple[str, set[str]]:
        leaf = cluster.leaf(name)
        names = [str(one.value) for one in leaf.subject]
        try:
            hosts = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return "".join(names), set()
        return "".join(names), set(hosts.get_values_for_type(x509.DNSName))

    peers = "tenure-etcd-peers.sys.svc"
    assert of("tenure-etcd-tls") == (
        "",
        {
            "tenure-etcd.sys.svc",
            f"*.{peers}.cluster.local",
            "localhost",
            *(f"tenure-etcd-{number}.{peers}" for number in range(3)),
        },
    )
    assert of("tenure-etcd-root") == ("root", set())
    assert of("tenure-etcd-gateway") == ("tenure-gateway", set())
    name, hosts = of("tenure-gateway-certificate")
    assert name == "tenure-gateway"
    assert "tenure-gateway.sys.svc" in hosts


async def test_leaves_are_renewed_after_two_thirds_of_their_life(cluster: Cluster) -> None:
    await look(cluster, START)
    before = {name: cluster.leaf(name) for name in LEAVES}
    assert await look(cluster, START + 59 * DAY) == []
    await look(cluster, START + 61 * DAY)
    for name in LEAVES:
        assert cluster.leaf(name) != before[name]
        assert cluster.leaf(name).not_valid_after_utc.timestamp() > START + 150 * DAY


async def test_fourteen_years_of_days(cluster: Cluster) -> None:
    """Every fifth day; a member that is told to start does so in between, or a week later."""
    await look(cluster, START)
    cluster.roll()
    bundle = cluster.text("tenure-ca", "ca.crt")
    waiting = 0
    for day in range(0, 14 * 365, 5):
        now = START + day * DAY
        arrived, bundle = bundle, cluster.text("tenure-ca", "ca.crt")
        await look(cluster, now)
        for name in LEAVES:
            leaf = cluster.leaf(name)
            assert leaf.not_valid_after_utc.timestamp() > now
            assert vouches(arrived, leaf, now), (day, name)
            assert vouches(cluster.started_with, leaf, now), (day, name)
        status = cluster.etcd["status"]
        if status["observedGeneration"] != cluster.etcd["metadata"]["generation"]:
            waiting += 1
            if waiting > 1:
                cluster.roll()
                waiting = 0
    assert cluster.restarts == 1 + 2  # ten years a life, replaced at two thirds
    assert len(x509.load_pem_x509_certificates(bundle)) == 2


async def test_each_namespace_gets_the_certificate_of_its_user(cluster: Cluster) -> None:
    cluster.has("shop")
    config = msgspec.structs.replace(CONFIG, app_namespaces=("shop",))
    done = await look(cluster, START, config)
    assert "shop/tenure-store: certificate made" in done
    leaf = cluster.leaf("shop/tenure-store")
    assert leaf.subject.rfc4514_string() == "CN=tenure:shop"
    assert vouches(cluster.text("tenure-etcd-tls", "ca.crt"), leaf, START)


async def test_the_engines_of_a_namespace_get_a_certificate_for_each_other(
    cluster: Cluster,
) -> None:
    """What they ask of it (``peers.tls``), and that it is no user of etcd's."""
    cluster.has("shop")
    config = msgspec.structs.replace(CONFIG, app_namespaces=("shop",))
    assert "shop/tenure-peers: certificate made" in await look(cluster, START, config)
    leaf = cluster.leaf("shop/tenure-peers")
    assert leaf.subject.rfc4514_string() == ""
    shown = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert shown.critical, "RFC 5280, 4.1.2.6: there is no other name"
    hosts = shown.value.get_values_for_type(x509.DNSName)
    assert names(hosts, app_name("shop", "orders"))
    assert not names(hosts, app_name("bank", "orders"))
    usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {*usages} == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert vouches(cluster.text("shop/tenure-peers", "ca.crt"), leaf, START)
    assert "ca.key" not in cluster.secrets["shop/tenure-peers"]["data"]


async def test_it_is_renewed_and_replaced_like_the_others(cluster: Cluster) -> None:
    cluster.has("shop")
    config = msgspec.structs.replace(CONFIG, app_namespaces=("shop",))
    await look(cluster, START, config)
    cluster.roll()
    assert await look(cluster, START + 59 * DAY, config) == []
    assert "shop/tenure-peers: certificate made" in await look(cluster, START + 61 * DAY, config)
    cluster.ask("shop/tenure-peers")
    done = await look(cluster, START + 62 * DAY, config)
    assert done == ["shop/tenure-peers: certificate made"]
    old = cluster.leaf("shop/tenure-peers")
    cluster.ask("tenure-ca")
    assert "shop/tenure-peers: told of it" in await look(cluster, START + 63 * DAY, config)
    bundle = cluster.text("shop/tenure-peers", "ca.crt")
    assert cluster.leaf("shop/tenure-peers") == old
    cluster.roll()
    await look(cluster, START + 64 * DAY, config)
    new = cluster.leaf("shop/tenure-peers")
    assert new != old
    both = cluster.text("shop/tenure-peers", "ca.crt")
    for leaf in (old, new):  # whoever has the one bundle or the other takes either certificate
        assert vouches(bundle, leaf, START + 64 * DAY)
        assert vouches(both, leaf, START + 64 * DAY)


async def test_with_an_etcd_of_ones_own_engines_still_get_certificates(cluster: Cluster) -> None:
    cluster.has("shop")
    alone = UpkeepConfig(namespace="sys", full_name="tenure", app_namespaces=("shop",))
    assert await look(cluster, START, alone) == [
        "authority made",
        "shop/tenure-peers: certificate made",
    ]


async def test_a_new_authority_waits_for_etcd(cluster: Cluster) -> None:
    await look(cluster, START)
    cluster.roll()
    first = cluster.leaf("tenure-etcd-tls")
    cluster.ask("tenure-ca")
    done = await look(cluster, START + DAY)
    assert "authority replaced" in done
    assert done[-1].startswith("etcd is started again")
    assert cluster.secrets["tenure-ca"]["metadata"]["annotations"] == {"other": "kept"}
    assert await look(cluster, START + 3 * DAY) == [], "its members have not started"
    cluster.roll()
    assert cluster.leaf("tenure-etcd-tls") == first
    done = await look(cluster, START + 4 * DAY)
    assert done == [f"{one}: certificate made" for one in LEAVES]
    assert vouches(cluster.started_with, cluster.leaf("tenure-etcd-tls"), START + 4 * DAY)


async def test_a_new_authority_is_not_used_before_it_had_time_to_arrive(cluster: Cluster) -> None:
    await look(cluster, START)
    cluster.roll()
    cluster.ask("tenure-ca")
    await look(cluster, START + DAY)
    cluster.roll()
    assert await look(cluster, START + DAY + 60) == []
    assert len(await look(cluster, START + DAY + 3700)) == len(LEAVES)


async def test_one_certificate_is_replaced_when_asked(cluster: Cluster) -> None:
    await look(cluster, START)
    cluster.ask("tenure-etcd-root")
    assert await look(cluster, START + 1) == ["tenure-etcd-root: certificate made"]
    assert await look(cluster, START + 2) == []


async def test_other_hosts_want_another_certificate(cluster: Cluster) -> None:
    await look(cluster, START, UpkeepConfig(namespace="sys", full_name="tenure", etcd_members=1))
    done = await look(cluster, START + 1)
    assert "tenure-etcd-tls: certificate made" in done
    assert "tenure-etcd-root: certificate made" not in done


async def test_of_two_at_once_neither_undoes_what_the_other_did(cluster: Cluster) -> None:
    async def other() -> None:
        await look(cluster, START)

    cluster.before_write = other
    await look(cluster, START)
    for name in LEAVES:
        assert vouches(cluster.text("tenure-ca", "ca.crt"), cluster.leaf(name), START)


async def test_after_years_without_upkeep_all_is_made_anew(cluster: Cluster) -> None:
    await look(cluster, START)
    cluster.roll()
    now = START + 20 * 365 * DAY
    done = await look(cluster, now)
    assert done[0] == "authority replaced"
    assert done[-1].startswith("etcd is started again")
    for name in LEAVES:
        assert vouches(cluster.text(name, "ca.crt"), cluster.leaf(name), now)


async def test_without_an_etcd_of_the_charts_only_the_gateways(cluster: Cluster) -> None:
    alone = UpkeepConfig(namespace="sys", full_name="tenure", gateway=True)
    done = await look(cluster, START, alone)
    assert done == ["authority made", "tenure-gateway-certificate: certificate made"]


@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        ("tls.crt", "!", "not base64"),
        ("tls.crt", base64.b64encode(b"x").decode(), "cannot be read"),
        ("tls.key", base64.b64encode(b"x").decode(), "cannot be read"),
    ],
)
async def test_what_cannot_be_read_is_told(
    key: str, text: str, reason: str, cluster: Cluster
) -> None:
    await look(cluster, START)
    cluster.secrets["tenure-etcd-root"]["data"][key] = text
    with pytest.raises(BadCertificateError, match=reason) as caught:
        await look(cluster, START + 1)
    if reason == "not base64":
        assert "tenure-etcd-root" in caught.value.message
        assert key in caught.value.message


async def test_a_secret_that_is_not_there_is_named(cluster: Cluster) -> None:
    del cluster.secrets["tenure-etcd-root"]
    with pytest.raises(ClusterApiError, match="tenure-etcd-root"):
        await look(cluster, START)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [(None, "404"), ("!", "not base64"), (base64.b64encode(b"x").decode(), "cannot be read")],
    ids=["gone", "not-base64", "no-certificate"],
)
async def test_a_spoiled_namespace_keeps_nobody_else_from_a_certificate(
    broken: str | None, reason: str, cluster: Cluster
) -> None:
    for one in ("bank", "shop"):
        cluster.has(one)
    config = msgspec.structs.replace(CONFIG, app_namespaces=("bank", "shop"))
    await look(cluster, START, config)
    if broken is None:
        del cluster.secrets["bank/tenure-store"]
    else:
        cluster.secrets["bank/tenure-store"]["data"]["tls.crt"] = broken
    keys = Keys(cluster, config)
    await keys.look(START + 61 * DAY)
    assert keys.done == [f"{one.secret}: certificate made" for one in wanted(CONFIG)[:-1]] + [
        "shop/tenure-store: certificate made",
        "bank/tenure-peers: certificate made",
        "shop/tenure-peers: certificate made",
        "tenure-gateway-certificate: certificate made",
    ]
    assert len(keys.failed) == 1
    assert keys.failed[0].startswith("bank/tenure-store: ")
    assert reason in keys.failed[0]


async def test_a_namespace_that_is_gone_is_not_served(cluster: Cluster) -> None:
    cluster.has("shop")
    config = msgspec.structs.replace(CONFIG, app_namespaces=("bank", "shop"))
    keys = Keys(cluster, config)
    await keys.look(START)
    assert keys.served == ("shop",)
    (told,) = keys.failed
    assert told.startswith("bank: the namespace is gone")
    assert "take it from store.namespaces" in told
    assert "shop/tenure-store: certificate made" in keys.done


async def test_a_namespace_is_served_while_nobody_says_that_it_is_gone(cluster: Cluster) -> None:
    cluster.has("shop")
    cluster.unanswered = True
    config = msgspec.structs.replace(CONFIG, app_namespaces=("shop",))
    keys = Keys(cluster, config)
    await keys.look(START)
    assert keys.served == ("shop",)
    (told,) = keys.failed
    assert told.startswith("shop: ")
    assert "get namespace failed: 500" in told
    assert "shop/tenure-store: certificate made" in keys.done


@pytest.mark.parametrize(
    ("users", "namespaces", "over"),
    [
        ([], ["shop"], []),
        (["tenure:shop"], ["shop"], []),
        (["tenure:shop", "tenure:bank"], ["shop"], ["tenure:bank"]),
        (["tenure:shops", "tenure:sho"], ["shop"], ["tenure:sho", "tenure:shops"]),
        (["tenure:shop"], [], ["tenure:shop"]),
        (["root", "tenure-gateway", "shop", "tenure", "backup"], [], []),
    ],
)
def test_whose_access_ends(users: list[str], namespaces: list[str], over: list[str]) -> None:
    assert left_over(users, namespaces) == over
