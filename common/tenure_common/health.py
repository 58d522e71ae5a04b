"""Health and metrics of a process, on a plain HTTP port, and the port itself.

The kubelet asks two questions.  *Live*: do the loops make progress; a process that says no is
killed.  *Ready*: should it be called; a process that says no is left alone and not called.  Both
answer 503 with what is wrong, in words.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from tenure_common import names
from tenure_common.errors import BadSettingError, PortInUseError
from tenure_common.hosts import joined
from tenure_common.telemetry import CONTENT_TYPE

if TYPE_CHECKING:
    from tenure_common.telemetry import Metrics


class Health:
    """Answers the kubelet and Prometheus."""

    def __init__(
        self,
        *,
        metrics: Callable[[], Metrics],
        stuck: Callable[[], str],
        not_ready: Callable[[], str],
    ) -> None:
        """``stuck`` and ``not_ready`` say what is wrong, or nothing."""
        self._metrics = metrics
        self._stuck = stuck
        self._not_ready = not_ready

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application()
        app.router.add_get(names.PATH_LIVE, self.live)
        app.router.add_get(names.PATH_READY, self.ready)
        app.router.add_get(names.PATH_METRICS, self.metrics)
        app.on_response_prepare.append(server_headers)
        return app

    async def live(self, _request: web.Request) -> web.Response:
        """200 while the loops make progress."""
        return _state(self._stuck())

    async def ready(self, _request: web.Request) -> web.Response:
        """200 while the process should be called."""
        return _state(self._not_ready())

    async def metrics(self, _request: web.Request) -> web.Response:
        """Prometheus text."""
        return web.Response(body=self._metrics().render(), headers={"Content-Type": CONTENT_TYPE})


class Listener:
    """An application on a port."""

    def __init__(  # noqa: PLR0913 - what a server needs to know
        self,
        app: web.Application,
        *,
        host: str,
        port: int,
        flag: str,
        tls: ssl.SSLContext | None = None,
        grace: float = 0.0,
        idle: float = 75.0,
    ) -> None:
        """Nothing listens yet.

        Args:
            app: what answers.
            host: address to listen on; empty = all, IPv4 and IPv6.
            port: 0 = any.
            flag: what to say when the port cannot be had.
            tls: plain without.
            grace: seconds that a stop waits for open calls.
            idle: seconds that a connection stays open on which nothing comes.
        """
        self._app = app
        self._host = host
        self._port = port
        self._flag = flag
        self._tls = tls
        self._grace = grace
        self._idle = idle
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listen; returns the port.  Raises: PortInUseError, BadSettingError."""
        runner = web.AppRunner(
            self._app,
            access_log=None,
            shutdown_timeout=self._grace,
            keepalive_timeout=self._idle,
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host or None, self._port, ssl_context=self._tls)
            await site.start()
        except OSError as error:
            await runner.cleanup()
            where = joined(self._host or "*", self._port)
            if error.errno is not None and "in use" in str(error):
                message = f"{where} is taken by another program; choose another with {self._flag}"
                raise PortInUseError(message) from error
            message = f"cannot listen on {where} ({self._flag}): {error.strerror}"
            raise BadSettingError(message) from error
        self._runner = runner
        return int(runner.addresses[0][1])

    async def refuse(self) -> None:
        """Take no more connections; those that are open go on.

        ``stop`` alone would not read on: a call whose body is still on its way then has no answer.
        """
        for site in () if self._runner is None else tuple(self._runner.sites):
            await site.stop()

    async def stop(self) -> None:
        """Take no more calls, end the open ones; safe to call twice or before ``start``."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()


async def server_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Put what every answer says about its server."""
    response.headers["Server"] = "tenure"


def _state(problem: str) -> web.Response:
    status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
    return web.Response(status=status, text=f"{problem or 'ok'}\n")
