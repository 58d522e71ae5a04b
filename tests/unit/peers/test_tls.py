"""Whose a certificate is and when it ends, against certificates that others made."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from tenure_common.errors import BadSettingError
from tenure_sidecar.peers.tls import PeerTls, app_name, names, not_after, renew_after

AUTHORITY = trustme.CA()
APP = app_name("shop", "Orders")


@pytest.mark.parametrize(
    "end",
    [
        dt.datetime(2027, 2, 28, 23, 59, 59, tzinfo=dt.UTC),
        dt.datetime(2049, 12, 31, 23, 59, 59, tzinfo=dt.UTC),  # the last with two digits
        dt.datetime(2050, 1, 1, tzinfo=dt.UTC),  # the first with four
        dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC),
    ],
)
def test_the_end_of_a_certificate(end: dt.datetime) -> None:
    pem = AUTHORITY.issue_cert("a.test", not_after=end).private_key_and_cert_chain_pem.bytes()
    assert not_after(pem) == end.timestamp()


def test_an_authoritys_own_certificate_too() -> None:
    pem = AUTHORITY.cert_pem.bytes()
    assert not_after(pem) == x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()


@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda b: b"\x30\x20\x30" + b))
def test_what_is_no_certificate_is_refused(body: bytes) -> None:
    import base64

    text = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(body)
    for pem in (body, text, text + b"\n-----END CERTIFICATE-----\n"):
        with pytest.raises(BadSettingError):
            not_after(pem)


@pytest.mark.parametrize(
    ("shown", "good"),
    [
        (["orders.shop.peers.tenure.dev"], True),
        (["ORDERS.shop.peers.tenure.dev"], True),
        (["x", "*.shop.peers.tenure.dev"], True),
        ([], False),
        (["*.peers.tenure.dev"], False),
        (["*"], False),
        (["shop.peers.tenure.dev"], False),
        (["other.shop.peers.tenure.dev"], False),
        (["orders.elsewhere.peers.tenure.dev"], False),
        (["a.orders.shop.peers.tenure.dev"], False),
    ],
)
def test_whose_a_certificate_is(shown: list[str], good: bool) -> None:
    assert names(shown, APP) is good


def test_a_connection_is_renewed_before_either_certificate_ends() -> None:
    assert renew_after(60, 90) == 40
    assert renew_after(60, -5) == 1


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = str(tmp_path / "gone.pem")
    tls = PeerTls(certificate=path, key=path, ca=path, app=APP, now=lambda: 0.0)
    with pytest.raises(BadSettingError, match=r"gone\.pem"):
        tls.server()
