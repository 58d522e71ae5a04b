"""Who may call a gateway, and what they may do: callers, by token or by certificate.

The access file is TOML, one table for each caller::

    [callers.operator]
    tokens = ["…"]

    [callers.dashboard]
    certificates = ["dashboard"]
    namespaces = ["shop"]
    read-only = true

A request is of the one caller that its bearer token or, without one, its client certificate names;
what belongs to nobody is refused.  Nothing else in a request says who sent it.  Several tokens let
one be replaced while the other still works.

Everything here is pure; ``secure`` reads the file, and reads it again when it changes.
"""

from __future__ import annotations

import hashlib
import hmac
import tomllib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from tenure_common.errors import BadSettingError, BadTokenError, NotPermittedError
from tenure_sidecar.http.guard import raw

LEAST_TOKEN: Final = 16  # characters; a shorter one can be guessed
HOW: Final = "send 'Authorization: Bearer TOKEN', or a client certificate"
_SCHEME: Final = "bearer "


class Entry(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """A table of the access file."""

    tokens: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    namespaces: tuple[str, ...] | None = None
    read_only: bool = False


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    callers: dict[str, Entry]


class Caller(msgspec.Struct, frozen=True):
    """Who sent a request; ``namespaces`` None = all."""

    name: str
    namespaces: frozenset[str] | None = None
    read_only: bool = False

    def sees(self, namespace: str) -> bool:
        """Whether it may know of the namespace."""
        return self.namespaces is None or namespace in self.namespaces

    def check(self, namespace: str, *, reads: bool) -> None:
        """Raises: NotPermittedError unless it may read, or change when not ``reads``."""
        if not self.sees(namespace):
            message = (
                f"caller '{self.name}' may not use namespace '{namespace[:100]}'; "
                "its entry in the gateway's access file lists those that it may"
            )
            raise NotPermittedError(message, {"namespace": namespace[:100]})
        if self.read_only and not reads:
            message = f"caller '{self.name}' may only read"
            raise NotPermittedError(message)


ANYBODY: Final = Caller("anybody")  # where only programs of this machine can call


class Shown(NamedTuple):
    """What the client's certificate says: its common name (empty = none, or several), its URIs."""

    common_name: str = ""
    uris: tuple[str, ...] = ()


def shown(certificate: Mapping[str, Any] | None) -> Shown | None:
    """What a certificate says that TLS has verified, as ``ssl.getpeercert`` gives it."""
    if not certificate:
        return None
    names = [
        value
        for part in certificate.get("subject", ())
        for key, value in part
        if key == "commonName"
    ]
    uris = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    return Shown(names[0] if len(names) == 1 else "", tuple(uris))


class Access:
    """The callers of one file."""

    def __init__(self, callers: Mapping[str, Entry]) -> None:
        """Raises: BadSettingError."""
        self._tokens: list[tuple[bytes, Caller]] = []
        self._certificates: dict[str, Caller] = {}
        seen: set[bytes] = set()
        for name, entry in callers.items():
            _require(bool(entry.tokens or entry.certificates), name, "has no token, no certificate")
            _require(entry.namespaces != (), name, "has an empty list of namespaces: leave it out")
            namespaces = None if entry.namespaces is None else frozenset(entry.namespaces)
            caller = Caller(name, namespaces, entry.read_only)
            for token in entry.tokens:
                plain = token.isascii() and token.isprintable() and " " not in token
                _require(plain, name, "has a token with other characters than printable ASCII")
                _require(
                    len(token) >= LEAST_TOKEN,
                    name,
                    f"has a token of less than {LEAST_TOKEN} characters",
                )
                digest = _digest(token)
                _require(digest not in seen, name, "has a token that is there already")
                seen.add(digest)
                self._tokens.append((digest, caller))
            for certificate in entry.certificates:
                _require(bool(certificate), name, "has a certificate without a name")
                _require(
                    certificate not in self._certificates,
                    name,
                    f"has the certificate '{certificate}', which is another caller's",
                )
                self._certificates[certificate] = caller

    @property
    def by_certificate(self) -> bool:
        """Whether any caller is known by a certificate."""
        return bool(self._certificates)

    def caller(self, authorization: list[str], certificate: Shown | None) -> Caller:
        """Who it is.

        Args:
            authorization: the values of the Authorization headers.
            certificate: what the client's verified certificate says, None = there is none.

        Raises: BadTokenError, NotPermittedError.
        """
        if authorization:
            return self._of_token(authorization)
        if certificate is None:
            message = f"nothing says who you are; {HOW}"
            raise BadTokenError(message)
        for name in (certificate.common_name, *certificate.uris):
            # A common name is never taken for a URI: authorities check the two in different ways.
            is_uri = "://" in name
            if is_uri == (name in certificate.uris) and name in self._certificates:
                return self._certificates[name]
        who = certificate.common_name or ", ".join(certificate.uris) or "without a name"
        message = f"no caller in the gateway's access file has the certificate '{who[:200]}'"
        raise NotPermittedError(message)

    def _of_token(self, authorization: list[str]) -> Caller:
        given = authorization[0]
        if len(authorization) > 1 or given[: len(_SCHEME)].lower() != _SCHEME:
            message = f"the Authorization header is not understood; {HOW}"
            raise BadTokenError(message)
        digest = _digest(given[len(_SCHEME) :].strip(" "))
        found: Caller | None = None
        for known, caller in self._tokens:  # all of them, so that time tells nothing
            if hmac.compare_digest(known, digest):
                found = caller
        if found is None:
            message = "the bearer token is not one of this server's"
            raise BadTokenError(message)
        return found

    def knows(self, caller: Caller) -> bool:
        """Whether the caller is still there, with the same rights."""
        return any(
            caller == one for one in (*(c for _, c in self._tokens), *self._certificates.values())
        )


def parse(text: str, *, file: str) -> Access:
    """The callers that the text of ``file`` names.  Raises: BadSettingError.

    The messages show no token.
    """
    try:
        found = msgspec.convert(tomllib.loads(text), _File)
        if not found.callers:
            _refuse("it names no caller")
        return Access(found.callers)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        message = f"the access file '{file}' cannot be used: {error}"
        raise BadSettingError(message) from error
    except BadSettingError as error:
        message = f"the access file '{file}' cannot be used: {error.message}"
        raise BadSettingError(message) from None


def _digest(token: str) -> bytes:
    return hashlib.sha256(raw(token)).digest()


def _require(true: bool, name: str, what: str) -> None:  # noqa: FBT001 - it is the point
    if not true:
        _refuse(f"caller '{name}' {what}")


def _refuse(message: str) -> None:
    raise BadSettingError(message)
