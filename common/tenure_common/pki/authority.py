"""Keys and certificates as PEM texts: made, and read back into what the schedule looks at.

ECDSA on P-256 throughout: a key is made in well under a millisecond, so a new replica is ready at
once.  Certificates begin a few minutes early, for machines whose clock is behind.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tenure_common.errors import BadCertificateError
from tenure_common.pki.schedule import BACKDATED, Authority, Held, Leaf, Span, leaf_end

_USAGES: Final = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """What the Secret holds, as PEM texts; empty = not there."""

    bundle: bytes = b""  # authorities, the newest first
    authority_key: bytes = b""  # of the newest
    certificate: bytes = b""
    key: bytes = b""


def read(material: Material) -> Held:
    """What the schedule looks at.  Raises: BadCertificateError when something cannot be read."""
    authorities = _certificates(material.bundle, "the CA bundle")
    leaves = _certificates(material.certificate, "the certificate")
    held = tuple(Authority(key_id=_key_id(one), life=_life(one)) for one in authorities)
    if authorities:
        _check_pair(authorities[0], material.authority_key, "the CA")
    if not leaves:
        return Held(authorities=held)
    _check_pair(leaves[0], material.key, "the certificate")
    issuer = next((one for one in authorities if _signed(leaves[0], one)), None)
    return Held(
        authorities=held,
        leaf=Leaf(
            issuer="" if issuer is None else _key_id(issuer),
            life=_life(leaves[0]),
            names=_names(leaves[0]),
        ),
    )


def found(*, name: str, now: float, life: float) -> Material:
    """A first authority.  Times in seconds, ``now`` since the Unix epoch."""
    key = _new_key()
    certificate = _authority(key, name=name, now=now, life=life)
    return Material(bundle=_pem(certificate), authority_key=_private(key))


def stage(material: Material, *, name: str, now: float, life: float) -> Material:
    """A new authority in front of the others; the leaf stays what it is."""
    key = _new_key()
    certificate = _authority(key, name=name, now=now, life=life)
    return msgspec.structs.replace(
        material, bundle=_pem(certificate) + material.bundle, authority_key=_private(key)
    )


def issue(
    material: Material, *, name: str, names: frozenset[str], now: float, life: float
) -> Material:
    """A leaf of the newest authority, for servers and clients.

    Args:
        material: the authority; its leaf is replaced.
        name: common name; empty = none.
        names: host names and addresses, none for what is a client alone.
        now: seconds since the Unix epoch.
        life: seconds.
    """
    newest = _certificates(material.bundle, "the CA bundle")[0]
    authority_key = _load(material.authority_key, "the CA's key")
    authority = Authority(key_id=_key_id(newest), life=_life(newest))
    end = leaf_end(now=now, life=life, authority=authority)
    key = _new_key()
    builder = (
        _builder(key, subject=_subject(name), issuer=newest.subject, now=now, end=end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USAGES), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
    )
    if names:
        hosts = x509.SubjectAlternativeName([_general(one) for one in sorted(names)])
        builder = builder.add_extension(hosts, critical=not name)  # RFC 5280, 4.2.1.6
    certificate = builder.sign(authority_key, hashes.SHA256())
    return msgspec.structs.replace(material, certificate=_pem(certificate), key=_private(key))


def prune(material: Material, *, now: float) -> Material:
    """Without the authorities that have expired."""
    kept = [one for one in _certificates(material.bundle, "the CA bundle") if _life(one).end > now]
    return msgspec.structs.replace(material, bundle=b"".join(map(_pem, kept)))


def end_of(certificate: bytes) -> float:
    """When a certificate ends, seconds since the Unix epoch.  Raises: BadCertificateError."""
    return _life(_certificates(certificate, "the certificate")[0]).end


def _authority(
    key: ec.EllipticCurvePrivateKey, *, name: str, now: float, life: float
) -> x509.Certificate:
    subject = _subject(f"{name}-ca")
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _builder(key, subject=subject, issuer=subject, now=now, end=now + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(
    key: ec.EllipticCurvePrivateKey,
    *,
    subject: x509.Name,
    issuer: x509.Name,
    now: float,
    end: float,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_moment(now - BACKDATED))
        .not_valid_after(_moment(end))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])


def _certificates(pem: bytes, what: str) -> list[x509.Certificate]:
    if not pem:
        return []
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        message = f"{what} cannot be read: {error}"
        raise BadCertificateError(message) from error


def _load(pem: bytes, what: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        message = f"{what} cannot be read: {error}"
        raise BadCertificateError(message) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        message = f"{what} is not an elliptic-curve key"
        raise BadCertificateError(message)
    return key


def _check_pair(certificate: x509.Certificate, key: bytes, what: str) -> None:
    if _load(key, f"{what}'s key").public_key() != certificate.public_key():
        message = f"{what} and its key do not belong to each other"
        raise BadCertificateError(message)


def _signed(leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = names.value.get_values_for_type(x509.IPAddress)
    return frozenset({*names.value.get_values_for_type(x509.DNSName), *map(str, addresses)})


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_id(certificate: x509.Certificate) -> str:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return extension.value.digest.hex()


def _life(certificate: x509.Certificate) -> Span:
    begin = certificate.not_valid_before_utc.timestamp() + BACKDATED
    return Span(begin=begin, end=certificate.not_valid_after_utc.timestamp())


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(seconds), tz=dt.UTC)
