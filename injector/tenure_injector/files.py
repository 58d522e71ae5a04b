"""A certificate that another program makes and renews, cert-manager for one, as files.

The files are looked at now and then, and a new pair is taken into service as it comes.  Replacing
two files is not one step: a pair that does not fit (yet) is told, and the one in use stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from tenure_common.errors import BadCertificateError, TenureError
from tenure_common.pki import authority
from tenure_injector.meters import Meters

_log = structlog.get_logger(__name__)

LOOK_EVERY: Final = 10.0  # seconds


class Files:
    """The certificate of one replica, from files."""

    look_every = LOOK_EVERY

    def __init__(
        self,
        *,
        certificate: str,
        key: str,
        now: Callable[[], float],
        use: Callable[[bytes, bytes], None],
        meters: Meters,
    ) -> None:
        """Nothing is read yet.

        Args:
            certificate: file with the certificate and those between it and its CA (PEM).
            key: file with its key (PEM).
            now: wall clock, seconds since the Unix epoch.
            use: takes a certificate and its key into service.
            meters: learns when it ends.
        """
        self._certificate = Path(certificate)
        self._key = Path(key)
        self._now = now
        self._use = use
        self._meters = meters
        self._in_use = (b"", b"")
        self._problem = "the certificate is not there yet"
        self.looks = 0
        self.served = asyncio.Event()

    @property
    def problem(self) -> str:
        """Why reviews cannot be answered, empty when they can."""
        if not self.served.is_set():
            return self._problem
        return "the certificate has expired" if self._now() >= self._meters.certificate_end else ""

    async def run(self) -> None:
        """Look, wait, for ever; a failure is told and tried again."""
        while True:
            try:
                self.look()
            except TenureError as error:
                self._problem = error.message
                _log.warning("cannot use the certificate files", error=str(error))
            self.looks += 1
            await asyncio.sleep(self.look_every)

    def look(self) -> None:
        """Take what is new.  Raises: BadCertificateError."""
        try:
            pair = self._certificate.read_bytes(), self._key.read_bytes()
        except OSError as error:
            message = f"cannot read '{error.filename}': {error.strerror}"
            raise BadCertificateError(message) from error
        if pair == self._in_use:
            return
        end = authority.end_of(pair[0])
        self._use(*pair)
        self._in_use = pair
        self._meters.certificate_end = end
        self.served.set()
        _log.info("certificate taken into service", file=str(self._certificate))
