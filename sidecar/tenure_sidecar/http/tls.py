"""TLS of a server: what is in its files, and the context made of it.

The contents are values, so that "has anything changed?" is a comparison, and a context is made anew
for each of them: taking an authority *out* of a context is not possible, and a session that was
begun under an old one must not be resumed under the new one.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol

from tenure_common.errors import BadSettingError


class Contents(NamedTuple):
    """PEM; ``client_ca`` empty = no client is asked for a certificate."""

    certificate: bytes
    key: bytes
    client_ca: bytes


class Tls(Protocol):
    """TLS of a server, wherever its parts come from."""

    @property
    def certificate(self) -> str:
        """Path of the server's certificate."""
        ...

    @property
    def key(self) -> str:
        """Path of its key."""
        ...

    @property
    def client_ca(self) -> str:
        """Where the authorities of clients are; empty = no client is asked for a certificate."""
        ...

    def read(self) -> Contents:
        """What there is now.  Raises: BadSettingError."""
        ...

    def context(self, contents: Contents) -> ssl.SSLContext:
        """A server's context, made of what ``read`` has just read.  Raises: BadSettingError."""
        ...


class TlsFiles(NamedTuple):
    """Paths of PEM files; ``client_ca`` may be empty."""

    certificate: str
    key: str
    client_ca: str = ""

    def read(self) -> Contents:
        """What is in them.  Raises: BadSettingError."""
        return Contents(
            _read(self.certificate),
            _read(self.key),
            _read(self.client_ca) if self.client_ca else b"",
        )

    def context(self, contents: Contents) -> ssl.SSLContext:
        """A server's context, made of what ``read`` has just read.

        A client may show a certificate of the client authorities; one of another authority ends the
        handshake.  Raises: BadSettingError.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # OpenSSL reads the pair from files alone; should they have changed since, the next look
            # sees it.
            context.load_cert_chain(self.certificate, self.key, password=self._encrypted)
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "reason", None) or error
            message = (
                f"the certificate '{self.certificate}' and the key '{self.key}' cannot be used: "
                f"{reason}; they must be PEM, and belong together"
            )
            raise BadSettingError(message) from error
        if contents.client_ca:
            try:
                context.load_verify_locations(cadata=contents.client_ca.decode("ascii"))
            except (OSError, UnicodeDecodeError, ValueError) as error:
                message = f"the authorities in '{self.client_ca}' cannot be used: {error}"
                raise BadSettingError(message) from error
            context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def _encrypted(self) -> NoReturn:
        """Instead of a prompt on the terminal."""
        message = f"the key '{self.key}' is encrypted; give it without a passphrase"
        raise BadSettingError(message)


class ToldClients(NamedTuple):
    """A server's files, for clients of authorities that somebody tells; all must be of these."""

    files: TlsFiles  # its ``client_ca`` says where the authorities come from
    authorities: Callable[[], bytes]  # PEM

    @property
    def certificate(self) -> str:
        """As the files have it."""
        return self.files.certificate

    @property
    def key(self) -> str:
        """As the files have it."""
        return self.files.key

    @property
    def client_ca(self) -> str:
        """Where the authorities come from."""
        return self.files.client_ca

    def read(self) -> Contents:
        """What there is now.  Raises: BadSettingError."""
        return self.files._replace(client_ca="").read()._replace(client_ca=self.authorities())

    def context(self, contents: Contents) -> ssl.SSLContext:
        """Whoever shows no certificate ends the handshake.  Raises: BadSettingError."""
        context = self.files.context(contents)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        message = f"cannot read '{path}': {error.strerror}"
        raise BadSettingError(message) from error
