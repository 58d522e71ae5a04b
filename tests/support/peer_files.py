"""A Secret for TLS between sidecars as pods have it mounted, filled with short-lived certificates.

As the kubelet does it, a folder's files are links into a folder with all three, and that is replaced
at once: nobody reads a certificate with the key of another.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tenure_common.names import PEERS_DOMAIN
from tenure_common.pki import authority
from tenure_common.pki.authority import Material

NAMESPACE = "default"  # of sidecars that are told no other
_HOUR = 3600.0


class PeerFiles:
    """The certificates of an installation; ``folder`` holds a mounted Secret for each name."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._lock = threading.Lock()
        self._written = 0
        self._authority: Material = authority.found(
            name="tenure", now=time.time(), life=1000 * _HOUR
        )

    def mounted(self, name: str) -> Path:
        """The folder with ca.crt, tls.crt and tls.key; without ``issue`` they are not there."""
        return self._folder / name

    def issue(
        self, name: str, *, namespace: str = NAMESPACE, life: float = _HOUR, age: float = 0.0
    ) -> float:
        """A new certificate for the sidecars of a namespace; when it ends.

        ``life`` in seconds, begun ``age`` seconds ago.
        """
        made = authority.issue(
            self._authority,
            name="",
            names=frozenset({f"*.{namespace}.{PEERS_DOMAIN}"}),
            now=time.time() - age,
            life=life,
        )
        texts = {"ca.crt": made.bundle, "tls.crt": made.certificate, "tls.key": made.key}
        with self._lock:
            self._write(self.mounted(name), texts)
        return authority.end_of(made.certificate)

    def _write(self, place: Path, texts: dict[str, bytes]) -> None:
        place.mkdir(exist_ok=True)
        self._written += 1
        fresh = place / f"..{self._written}"
        fresh.mkdir()
        for key, text in texts.items():
            (fresh / key).write_bytes(text)
            if not (place / key).is_symlink():
                (place / key).symlink_to(Path("..data") / key)
        (place / "..new").symlink_to(fresh.name)
        (place / "..new").replace(place / "..data")

    @contextlib.contextmanager
    def renewed(self, *names: str, life: float, every: float) -> Iterator[float]:
        """Certificates that live ``life`` seconds, made anew each ``every``; when the first end."""
        ends = [self.issue(name, life=life) for name in names]
        over = threading.Event()

        def renew() -> None:
            while not over.wait(every):
                for name in names:
                    self.issue(name, life=life)

        thread = threading.Thread(target=renew)
        thread.start()
        try:
            yield max(ends)
        finally:
            over.set()
            thread.join()
