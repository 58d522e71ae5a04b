"""The HTTP server of a gateway: the management API of many apps, for callers that are known.

What passes every request, in this order: the gate (``secure.py``: no web pages, no strangers), the
translation of errors and the size limit (``middleware.py``), the caller's rights in the namespace that
the path names, the handler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from tenure_sidecar.http.manage import server as manage
from tenure_sidecar.http.middleware import MAX_BODY_BYTES, errors, headers, limit
from tenure_sidecar.http.secure import LOOK_EVERY, Gate, Place, Secured, SecureServer

if TYPE_CHECKING:
    from tenure_sidecar.http.manage.api import Apps


class GatewayServer(SecureServer):
    """Serves ``apps`` from ``start`` to ``stop``; ``run`` it beside."""

    def __init__(
        self, apps: Apps, *, place: Place, files: Secured, look_every: float = LOOK_EVERY
    ) -> None:
        """Nothing is read, and nothing listens yet; see ``SecureServer``."""
        self.gate = Gate(files)
        app = web.Application(
            middlewares=[self.gate.middleware(), errors, limit(MAX_BODY_BYTES)],
            client_max_size=MAX_BODY_BYTES,
        )
        manage.install(app, apps, alone=True)
        app.on_response_prepare.append(headers)

        def changed() -> None:
            # A stream can last for days: whoever lost a right must not go on with one.
            manage.end_long(app, lambda caller: not self.gate.knows(caller))

        super().__init__(
            app, place=place, files=files, gate=self.gate, look_every=look_every, changed=changed
        )
