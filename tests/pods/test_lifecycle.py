"""The release changes, goes and comes again, certificates are replaced: no workflow is lost.

In scope: what helm and the upkeep do to an installation with work in it.  Out of scope: what the app's
own pods go through (test_real_pods.py).
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence

import pytest

from support.kube.administrator import SYSTEM, data_of
from support.kube.whole import Shop

CERTIFICATES = ("tenure-ca", "tenure-etcd-tls", "tenure-etcd-root", "tenure-gateway-certificate")


def kept(shop: Shop, names: Sequence[str] = CERTIFICATES) -> dict[str, dict[str, bytes]]:
    return {name: data_of(shop.kubectl, name) for name in names}


def running(shop: Shop, *names: str) -> None:
    """Workflow resources that wait for a decision."""
    shop.ready()
    for name in names:
        shop.apply(name, "approval", None)
    shop.until(lambda: all(shop.phase(name) == "Running" for name in names))


def decided(shop: Shop, *names: str) -> None:
    for name in names:
        instance = shop.kubectl.get("workflow", name)["status"]["instanceID"]
        shop.tenure("raise", instance, "decision", "--data", '"yes"')
    assert [shop.completed(name) for name in names] == ["yes"] * len(names)


def upkeep(shop: Shop, name: str) -> str:
    """Run the CronJob now; what it said."""
    system = shop.kubectl.using("-n", SYSTEM)
    system("create", "job", name, "--from=cronjob/tenure-upkeep")
    system("wait", "--for=condition=Complete", f"job/{name}", "--timeout=240s")
    # A try that failed has said what it did, and the next one does the rest.
    return system("logs", f"--selector=batch.kubernetes.io/job-name={name}", "--tail=-1")


def test_an_upgrade_and_a_rollback_keep_certificates_and_work(shop: Shop) -> None:
    running(shop, "before-upgrade")
    before = kept(shop)
    token = data_of(shop.kubectl, "tenure-gateway-access")["token"]
    shop.release("upgrade", "log.level=debug")
    running(shop, "before-rollback")
    shop.helm("rollback", "tenure", "--namespace", SYSTEM, "--wait", "--timeout=300s")
    assert kept(shop) == before
    assert data_of(shop.kubectl, "tenure-gateway-access")["token"] == token
    decided(shop, "before-upgrade", "before-rollback")


@pytest.mark.timeout(600)
def test_an_uninstall_loses_no_workflow(shop: Shop) -> None:
    running(shop, "before-uninstall")
    shop.start("approval", "without-resource", None)
    authority = data_of(shop.kubectl, "tenure-ca")
    (pod,) = shop.ready()
    shop.helm("uninstall", "tenure", "--namespace", SYSTEM, "--wait", "--timeout=300s")
    assert shop.phase("before-uninstall") == "Running"
    shop.release("install")
    assert data_of(shop.kubectl, "tenure-ca") == authority
    assert shop.ready() == [pod], "the app was not started again"
    # Its engine is to find etcd, whose service has another address now.
    shop.until(lambda: shop.state("without-resource").get("status") == "RUNNING")
    decided(shop, "before-uninstall")
    shop.tenure("raise", "without-resource", "decision", "--data", '"yes"')
    assert shop.ended("without-resource") == "yes"


def test_certificates_are_replaced_under_load(shop: Shop) -> None:
    shop.ready()
    names = [f"rotated-{number}" for number in range(6)]
    for name in names:
        shop.apply(name, "order", 60)
    before = kept(shop)
    system = shop.kubectl.using("-n", SYSTEM)
    for name in CERTIFICATES:
        system("annotate", "secret", name, "tenure.dev/replace=now")
    shop.kubectl("annotate", "secret", "tenure-store", "tenure.dev/replace=now")
    said = upkeep(shop, "rotation")
    assert "authority replaced" in said
    assert "etcd is started again" in said
    system("rollout", "status", "statefulset/tenure-etcd", "--timeout=240s")
    after = kept(shop)
    assert after["tenure-ca"]["ca.crt"].endswith(before["tenure-ca"]["ca.crt"])
    for name in CERTIFICATES[1:]:
        assert after[name]["ca.crt"] == after["tenure-ca"]["ca.crt"], name
    assert [shop.completed(name) for name in names] == [60] * len(names)
    assert "nothing was to be done" in upkeep(shop, "no-rotation")


def test_a_certificate_that_was_replaced_is_shown_to_callers(shop: Shop) -> None:
    def shown() -> str:
        address = shop.kubectl.using("-n", SYSTEM).get("service", "tenure-gateway")
        return ssl.get_server_certificate((address["spec"]["clusterIP"], 8443))

    before = shown()
    system = shop.kubectl.using("-n", SYSTEM)
    system("delete", "job", "--all", "--ignore-not-found")
    take_out = json.dumps([{"op": "remove", "path": "/data/tls.crt"}])
    system("patch", "secret", "tenure-gateway-certificate", "--type=json", "-p", take_out)
    assert "tenure-gateway-certificate: certificate made" in upkeep(shop, "gateway")
    shop.until(lambda: shown() != before)
    running(shop, "after-renewal")
    decided(shop, "after-renewal")
