"""What the API server has allowed, read from a path; how the API server is known.

Out of scope: a real API server (kubernetes/test_kubectl_plugin).
"""

from __future__ import annotations

import base64

import pytest

from tenure_common.errors import BadSettingError, ForeignCallerError
from tenure_sidecar.aggregation import needed
from tenure_sidecar.http.cluster import VERSION, FrontProxy, Scope, front_proxy, scope


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/namespaces/shop/apps/orders/instances", Scope("shop", True)),
        ("HEAD", "/namespaces/shop/apps", Scope("shop", True)),
        ("POST", "/namespaces/shop/apps/orders/instances", Scope("shop", False)),
        ("PUT", "/namespaces/shop/apps/orders/instances/a", Scope("shop", False)),
        ("POST", "/watch/namespaces/shop/apps/orders/watch", Scope("shop", True)),
        ("GET", "/namespaces/sh%6Fp/apps", Scope("shop", True)),
        ("GET", "/namespaces/shop/apps/o/instances/a%252Fb", Scope("shop", True)),
        ("GET", "/namespaces/shop/apps?x=/namespaces/bank", Scope("shop", True)),
        ("GET", "/apps/namespaces/shop", Scope("", True)),
        ("GET", "/watch/watch/namespaces/shop/apps", Scope("", True)),
        ("GET", "", Scope("", True)),
    ],
)
def test_scope(method: str, path: str, expected: Scope) -> None:
    assert scope(method, VERSION + path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/namespaces/shop/../bank/apps",
        "/namespaces/shop/%2e%2E/bank/apps",
        "/namespaces/shop/./apps",
        "/namespaces//apps",
        "/namespaces/shop//apps",
        "/namespaces/shop/apps/",
        "/namespaces/shop%2fapps",
        "/namespaces/shop%2F..%2Fbank/apps",
    ],
)
def test_a_path_that_can_be_read_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(ForeignCallerError):
        scope("GET", VERSION + path)


def test_how_the_api_server_is_known() -> None:
    found = front_proxy(
        {
            "requestheader-client-ca-file": "PEM",
            "requestheader-allowed-names": '["front-proxy-client"]',
            "requestheader-username-headers": '["X-Remote-User"]',
        }
    )
    assert found == FrontProxy(
        authorities="PEM", names=("front-proxy-client",), user_headers=("X-Remote-User",)
    )


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"client-ca-file": "PEM"},
        {"requestheader-client-ca-file": "PEM"},
        {"requestheader-client-ca-file": "PEM", "requestheader-username-headers": "X-Remote-User"},
        {"requestheader-client-ca-file": "PEM", "requestheader-username-headers": "[1]"},
    ],
)
def test_a_cluster_that_extends_nothing_is_told(data: dict[str, str]) -> None:
    with pytest.raises(BadSettingError, match="requestheader"):
        front_proxy(data)


def test_only_another_bundle_is_written() -> None:
    bundle = base64.b64encode(b"PEM").decode()
    assert needed({"spec": {"caBundle": bundle}}, b"PEM") is None
    assert needed({"spec": {}}, b"PEM") == {"spec": {"caBundle": bundle}}
    assert needed({"spec": {"caBundle": bundle}}, b"NEW") is not None
