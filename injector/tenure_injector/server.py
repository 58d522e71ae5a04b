"""The webhook: reviews over HTTPS.

What passes a review, in this order: the size limit (before a byte of the body is read), the number
of bodies in memory, the time that a body may take, the decision.  Whatever goes wrong before a
review is understood ends as HTTP 400 or 413 with the reason, and the API server then does what the
webhook's failure policy says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final

import structlog
from aiohttp import web

from tenure_common.errors import (
    BadReviewError,
    InjectorError,
    MessageTooLargeError,
    TenureError,
)
from tenure_common.health import server_headers
from tenure_injector import review
from tenure_injector.config import Config
from tenure_injector.events import Events
from tenure_injector.meters import Meters
from tenure_injector.notices import notices
from tenure_injector.pods import Pod
from tenure_injector.replies import Replies
from tenure_injector.report import Report
from tenure_injector.review import Request

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
        stopping: Callable[[], bool],
    ) -> None:
        """``stopping``: whether no further review should come on the same connection."""
        self._config = config
        self._replies = Replies(config)
        self._events = events
        self._meters = meters
        self._monotonic = monotonic
        self._stopping = stopping
        self._open = 0  # reviews under way
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._room = asyncio.Semaphore(BODIES)

    def app(self) -> web.Application:
        """The aiohttp application."""
        # One more than the limit: a body of exactly the limit is fine.
        app = web.Application(client_max_size=self._config.max_review_bytes + 1)
        app.router.add_post(PATH, self.mutate)
        app.on_response_prepare.append(server_headers)
        return app

    async def answered(self) -> None:
        """Wait until no review is under way."""
        await self._none_open.wait()

    async def mutate(self, request: web.Request) -> web.Response:
        """One review."""
        self._open += 1
        self._none_open.clear()
        try:
            response = await self._reviewed(request)
        finally:
            self._open -= 1
            if not self._open:
                self._none_open.set()
        if self._stopping():
            response.force_close()  # the caller's next review finds a replica that stays
        return response

    async def _reviewed(self, request: web.Request) -> web.Response:
        try:
            return self._answer(await self._body(request))
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
            if request.content.is_eof():  # it came with the head: nothing to wait for
                return await request.read()
            async with self._room, asyncio.timeout(BODY_SECONDS):
                return await request.read()
        except TimeoutError as error:
            message = f"the review's body did not arrive within {BODY_SECONDS:.0f} s"
            raise BadReviewError(message) from error
        except web.HTTPRequestEntityTooLarge as error:
            raise MessageTooLargeError(too_large) from error
        except (web.RequestPayloadError, ConnectionError) as error:
            message = "the review's body was cut off, or is not encoded as its head says"
            raise BadReviewError(message) from error

    def _answer(self, body: bytes) -> web.Response:
        began = self._monotonic()
        request = review.decode(body)
        body, report, pod = self._replies.to(request)
        seconds = self._monotonic() - began
        # The answer goes out first: telling takes a fifth of the time that deciding does.
        asyncio.get_running_loop().call_soon(self._tell, request, report, pod, seconds)
        return web.Response(body=body, content_type="application/json")

    def _tell(self, request: Request, report: Report, pod: Pod | None, seconds: float) -> None:
        """Count a decision, log it, and offer its Events."""
        self._meters.reviews[report.verdict.value, report.reason] += 1
        self._meters.seconds.observe(seconds)
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


def _failure(error: TenureError) -> web.Response:
    response = web.Response(
        status=error.http,
        text=json.dumps({"code": error.code, "message": error.message}),
        content_type="application/json",
    )
    response.force_close()  # what is still to come must not be read as the next request
    return response
