"""The server's TLS context, whose certificate is replaced while connections are open.

Connections that stand keep the certificate that they began with; the next handshake gets the new
one.  A pair that does not fit is refused before it touches the context that is in use.
"""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from tenure_common.errors import BadCertificateError, BadSettingError


class ServerTls:
    """A context for a server; it cannot serve before the first ``load``."""

    def __init__(self, *, client_ca: str = "") -> None:
        """``client_ca``: callers must show a certificate of this CA file; empty = none asked.

        Raises: BadSettingError when the file cannot be read.
        """
        self.context = _context()
        if client_ca:
            try:
                self.context.load_verify_locations(cafile=client_ca)
            except (OSError, ssl.SSLError) as error:
                message = f"cannot read the callers' CA '{client_ca}': {error}"
                raise BadSettingError(message) from error
            self.context.verify_mode = ssl.CERT_REQUIRED

    def load(self, certificate: bytes, key: bytes) -> None:
        """Serve this certificate (PEM) from now on.  Raises: BadCertificateError.

        The pair lies in files of this process's own for a moment, because OpenSSL reads files.
        """
        with tempfile.TemporaryDirectory(prefix="tenure-") as folder:
            certificate_file, key_file = Path(folder, "tls.crt"), Path(folder, "tls.key")
            certificate_file.write_bytes(certificate)
            key_file.touch(mode=0o600)
            key_file.write_bytes(key)
            for context in (_context(), self.context):  # the first one is to try it on
                try:
                    context.load_cert_chain(certificate_file, key_file)
                except ssl.SSLError as error:
                    message = f"the certificate and its key cannot be used: {error}"
                    raise BadCertificateError(message) from error


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
