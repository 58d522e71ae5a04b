"""The two servers: reviews over HTTPS, health and metrics over HTTP.

What passes a review, in this order: the size limit (before a byte of the body is read), the number
of bodies in memory, the time that a body may take, the decision.  Whatever goes wrong before a
review is understood ends as HTTP 400 or 413 with the reason, and the API server then does what the
webhook's failure policy says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web

from tenure_common import names
from tenure_common.errors import (
    BadReviewError,
    BadSettingError,
    InjectorError,
    MessageTooLargeError,
    PortInUseError,
    TenureError,
)
from tenure_common.telemetry import CONTENT_TYPE
from tenure_injector import review
from tenure_injector.admission import consider
from tenure_injector.config import Config
from tenure_injector.events import Events
from tenure_injector.meters import Meters
from tenure_injector.notices import notices
from tenure_injector.tls import ServerTls

_log = structlog.get_logger(__name__)

PATH: Final = "/mutate"
BODY_SECONDS: Final = 10.0
BODIES: Final = 64  # in memory at a time; more wait, unread, in their sockets


class Webhook:
    """Answers reviews."""

    def __init__(
        self,
        config: Config,
        *,
        events: Events,
        meters: Meters,
        monotonic: Callable[[], float],
    ) -> None:
        self._config = config
        self._events = events
        self._meters = meters
        self._monotonic = monotonic
        self._room = asyncio.Semaphore(BODIES)

    def app(self) -> web.Application:
        """The aiohttp application."""
        # One more than the limit: a body of exactly the limit is fine.
        app = web.Application(client_max_size=self._config.max_review_bytes + 1)
        app.router.add_post(PATH, self.mutate)
        app.on_response_prepare.append(_headers)
        return app

    async def mutate(self, request: web.Request) -> web.Response:
        """One review."""
        try:
            async with self._room:
                body = await self._body(request)
                return self._answer(body)
        except TenureError as error:
            self._meters.rejected[type(error).__name__,] += 1
            _log.warning("not a review", error=str(error), caller=request.remote)
            return _failure(error)
        except Exception as error:  # noqa: BLE001 - one review must not end the server
            self._meters.rejected["Unexpected",] += 1
            _log.exception("review failed")
            return _failure(InjectorError(f"the review failed: {type(error).__name__}: {error}"))

    async def _body(self, request: web.Request) -> bytes:
        limit = self._config.max_review_bytes
        too_large = f"the review is larger than {limit} bytes (max-review-bytes)"
        if (request.content_length or 0) > limit:
            raise MessageTooLargeError(too_large)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await request.read()
        except TimeoutError as error:
            message = f"the review's body did not arrive within {BODY_SECONDS:.0f} s"
            raise BadReviewError(message) from error
        except web.HTTPRequestEntityTooLarge as error:
            raise MessageTooLargeError(too_large) from error

    def _answer(self, body: bytes) -> web.Response:
        began = self._monotonic()
        request = review.decode(body)
        answer, report, pod = consider(request, self._config)
        encoded = review.encode(answer)
        self._meters.reviews[report.verdict.value, report.reason] += 1
        self._meters.seconds.observe(self._monotonic() - began)
        _log.info(
            "review answered",
            verdict=report.verdict.value,
            reason=report.reason,
            text=report.sentence,
            namespace=request.namespace,
            pod="" if pod is None else pod.title,
            caller=request.user_info.username,
        )
        if not request.dry_run:
            for notice in notices(report, pod, namespace=request.namespace):
                self._events.offer(notice)
        return web.Response(body=encoded, content_type="application/json")


class Health:
    """Answers the kubelet and Prometheus."""

    def __init__(
        self, *, meters: Meters, stuck: Callable[[], str], not_ready: Callable[[], str]
    ) -> None:
        """``stuck`` and ``not_ready`` say what is wrong, or nothing."""
        self._meters = meters
        self._stuck = stuck
        self._not_ready = not_ready

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application()
        app.router.add_get(names.PATH_LIVE, self.live)
        app.router.add_get(names.PATH_READY, self.ready)
        app.router.add_get(names.PATH_METRICS, self.metrics)
        app.on_response_prepare.append(_headers)
        return app

    async def live(self, _request: web.Request) -> web.Response:
        """200 while the loops make progress."""
        return _state(self._stuck())

    async def ready(self, _request: web.Request) -> web.Response:
        """200 while reviews can be answered."""
        return _state(self._not_ready())

    async def metrics(self, _request: web.Request) -> web.Response:
        """Prometheus text."""
        return web.Response(
            body=self._meters.metrics.render(), headers={"Content-Type": CONTENT_TYPE}
        )


class Listener:
    """An application on a port."""

    def __init__(  # noqa: PLR0913 - what a server needs to know
        self,
        app: web.Application,
        *,
        host: str,
        port: int,
        flag: str,
        tls: ServerTls | None = None,
        grace: float = 0.0,
    ) -> None:
        """Nothing listens yet; ``grace``: seconds that a stop waits for open calls."""
        self._app = app
        self._host = host
        self._port = port
        self._flag = flag
        self._tls = tls
        self._grace = grace
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listen; returns the port.  Raises: PortInUseError, BadSettingError."""
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=self._grace)
        await runner.setup()
        context = None if self._tls is None else self._tls.context
        try:
            await web.TCPSite(runner, self._host, self._port, ssl_context=context).start()
        except OSError as error:
            await runner.cleanup()
            where = f"{self._host}:{self._port}"
            if error.errno is not None and "in use" in str(error):
                message = f"{where} is taken by another program; choose another with {self._flag}"
                raise PortInUseError(message) from error
            message = f"cannot listen on {where} ({self._flag}): {error.strerror}"
            raise BadSettingError(message) from error
        self._runner = runner
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Take no more calls, end the open ones; safe to call twice or before ``start``."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()


def _state(problem: str) -> web.Response:
    status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
    return web.Response(status=status, text=f"{problem or 'ok'}\n")


def _failure(error: TenureError) -> web.Response:
    response = web.Response(
        status=error.http,
        text=json.dumps({"code": error.code, "message": error.message}),
        content_type="application/json",
    )
    response.force_close()  # what is still to come must not be read as the next request
    return response


async def _headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "tenure"
