"""A host and a port in one text; where a listener is reached from its own machine."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tenure_common.hosts import joined, reached


@pytest.mark.parametrize(
    ("host", "text"),
    [("10.1.2.3", "10.1.2.3:80"), ("etcd-0.etcd", "etcd-0.etcd:80"), ("fd00::1", "[fd00::1]:80")],
)
def test_joined(host: str, text: str) -> None:
    assert joined(host, 80) == text
    assert urlsplit(f"http://{text}").hostname == host


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "::1"),
        ("::1", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("localhost", "localhost"),
    ],
)
def test_reached(host: str, text: str) -> None:
    assert reached(host) == text
