"""Real keys and certificates, checked by OpenSSL in a handshake and by the schedule's reader."""

from __future__ import annotations

import ssl

import msgspec
import pytest
import trustme

from tenure_common.errors import BadCertificateError
from tenure_common.pki import authority
from tenure_common.pki.authority import Material
from tenure_common.pki.schedule import BACKDATED
from tenure_injector.rotation import NAME
from tenure_injector.tls import ServerTls

NOW = 1_800_000_000.0
NAMES = frozenset({"tenure-injector.tenure-system.svc", "10.0.0.1"})
LIFE = 1000.0


@pytest.fixture(scope="module")
def material() -> Material:
    made = authority.found(name=NAME, now=NOW, life=10 * LIFE)
    return authority.issue(made, name=NAME, names=NAMES, now=NOW + 1, life=LIFE)


def handshake(server: ssl.SSLContext, bundle: bytes, name: str) -> None:
    """Both sides in memory.  Raises: ssl.SSLError when the client does not trust the server."""
    client = ssl.create_default_context(cadata=bundle.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=name)
    two = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    for _ in range(6):
        for side in (one, two):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
    assert done == {one, two}


def fresh(seconds: float = 3600.0) -> Material:
    """A pair that is good now, because OpenSSL reads the clock itself."""
    from tenure_common.clock import wall_ns

    now = wall_ns() / 1e9
    made = authority.found(name=NAME, now=now, life=10 * seconds)
    return authority.issue(made, name=NAME, names=NAMES, now=now, life=seconds)


def test_what_is_made_is_read_back(material: Material) -> None:
    held = authority.read(material)
    assert [one.life.end - one.life.begin for one in held.authorities] == [10 * LIFE]
    assert held.leaf is not None
    assert held.leaf.issuer == held.authorities[0].key_id
    assert held.leaf.names == NAMES
    assert (held.leaf.life.begin, held.leaf.life.end) == (NOW + 1, NOW + 1 + LIFE)
    assert authority.end_of(material.certificate) == NOW + 1 + LIFE
    assert BACKDATED > 60


@pytest.mark.parametrize("name", sorted(NAMES))
def test_openssl_accepts_it(name: str) -> None:
    made = fresh()
    tls = ServerTls()
    tls.load(made.certificate, made.key)
    handshake(tls.context, made.bundle, name)


def test_openssl_refuses_another_name_and_another_authority() -> None:
    made = fresh()
    tls = ServerTls()
    tls.load(made.certificate, made.key)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(tls.context, made.bundle, "example.org")
    with pytest.raises(ssl.SSLCertVerificationError, match="signature failure|verify failed"):
        handshake(tls.context, fresh().bundle, "tenure-injector.tenure-system.svc")


def test_certificate_is_replaced_in_the_live_context() -> None:
    first, second = fresh(), fresh()
    tls = ServerTls()
    tls.load(first.certificate, first.key)
    name = "tenure-injector.tenure-system.svc"
    handshake(tls.context, first.bundle, name)
    tls.load(second.certificate, second.key)
    handshake(tls.context, second.bundle, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tls.context, first.bundle, name)


def test_pair_that_does_not_fit_leaves_the_context_as_it_is() -> None:
    first, second = fresh(), fresh()
    tls = ServerTls()
    tls.load(first.certificate, first.key)
    with pytest.raises(BadCertificateError, match="cannot be used"):
        tls.load(second.certificate, first.key)
    handshake(tls.context, first.bundle, "tenure-injector.tenure-system.svc")


def test_both_authorities_are_trusted_while_one_is_staged() -> None:
    from tenure_common.clock import wall_ns

    now = wall_ns() / 1e9
    old = fresh()
    staged = authority.stage(old, name=NAME, now=now, life=36000)
    held = authority.read(staged)
    assert len(held.authorities) == 2
    assert held.leaf is not None
    assert held.leaf.issuer == held.authorities[1].key_id, "the leaf is the old one's"
    new = authority.issue(staged, name=NAME, names=NAMES, now=now, life=3600)
    held = authority.read(new)
    assert held.leaf is not None
    assert held.leaf.issuer == held.authorities[0].key_id
    for served in (old, new):
        tls = ServerTls()
        tls.load(served.certificate, served.key)
        handshake(tls.context, new.bundle, "tenure-injector.tenure-system.svc")


def test_old_authority_cannot_sign_once_the_new_one_is_staged(material: Material) -> None:
    staged = authority.stage(material, name=NAME, now=NOW + 2, life=LIFE)
    assert material.authority_key not in msgspec.structs.astuple(staged)


def test_prune_drops_what_has_expired(material: Material) -> None:
    staged = authority.stage(material, name=NAME, now=NOW + LIFE, life=20 * LIFE)
    assert authority.prune(staged, now=NOW + LIFE) == staged
    pruned = authority.prune(staged, now=NOW + 11 * LIFE)
    (left,) = authority.read(msgspec.structs.replace(pruned, certificate=b"", key=b"")).authorities
    assert left.life.end == NOW + 21 * LIFE


def test_nothing_is_nothing() -> None:
    held = authority.read(Material())
    assert (held.authorities, held.leaf) == ((), None)


def test_foreign_leaf_has_no_issuer(material: Material) -> None:
    other = authority.issue(
        authority.found(name=NAME, now=NOW, life=LIFE), name=NAME, names=NAMES, now=NOW, life=LIFE
    )
    mixed = msgspec.structs.replace(material, certificate=other.certificate, key=other.key)
    leaf = authority.read(mixed).leaf
    assert leaf is not None
    assert leaf.issuer == ""


def test_what_cannot_be_used_is_refused(material: Material) -> None:
    rsa = trustme.CA(key_type=trustme.KeyType.RSA)
    cases = [
        ({"bundle": b"junk"}, "the CA bundle cannot be read"),
        ({"certificate": b"-----BEGIN"}, "the certificate cannot be read"),
        ({"key": b"junk"}, "the certificate's key cannot be read"),
        ({"authority_key": b""}, "the CA's key cannot be read"),
        ({"key": material.authority_key}, "the certificate and its key do not belong"),
        ({"authority_key": material.key}, "the CA and its key do not belong"),
        ({"key": rsa.private_key_pem.bytes()}, "is not an elliptic-curve key"),
    ]
    for change, reason in cases:
        with pytest.raises(BadCertificateError, match=reason):
            authority.read(msgspec.structs.replace(material, **change))
