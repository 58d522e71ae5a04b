"""What the operator takes from a gateway that refuses: a real HTTP server that says what the test says.

Out of scope: what becomes of a resource then (test_workflow_steps,
kubernetes/test_operator_faulty_gateway).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from aiohttp import web

from tenure_operator.gateway import Access, App, Gateway, RefusedError
from tenure_operator.reconcile.refusals import Refusal

ORDERS = App("shop", "orders")
STORE_AWAY = {"code": "TN0400", "message": "no store"}


class Server:
    """Answers ``said`` to every request but the small question, which it answers with ``alive``."""

    def __init__(self) -> None:
        self.said: tuple[int, object, dict[str, str]] = (200, {}, {})
        self.alive = 200
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if request.path.endswith("/apps"):
            return web.json_response({}, status=self.alive)
        status, body, headers = self.said
        return web.json_response(body, status=status, headers=headers)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def gateway(server: Server) -> AsyncGenerator[Gateway]:
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", server.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made = Gateway(Access(f"http://127.0.0.1:{runner.addresses[0][1]}/v1alpha1"))
    yield made
    await made.close()
    await runner.cleanup()


async def refused(gateway: Gateway) -> Refusal:
    with pytest.raises(RefusedError) as found:
        await gateway.steer(ORDERS, "x", "suspend")
    return found.value.refusal


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("7000", 60.0), ("soon", 0.0), ("Fri, 01 Jan 2027 00:00:00 GMT", 0.0), ("٣", 0.0)],
)
async def test_a_pause_that_is_asked_for_is_known(
    gateway: Gateway, server: Server, header: str, seconds: float
) -> None:
    for body in ({"code": "TN0202", "message": "too many"}, "no JSON of ours"):
        server.said = (429, body, {"Retry-After": header})
        found = await refused(gateway)
        assert found.transient
        assert found.seconds == seconds


@pytest.mark.parametrize(
    ("body", "reason"), [(STORE_AWAY, "StoreUnavailable"), ({}, "GatewayUnavailable")]
)
async def test_what_serves_nobody_is_asked_no_more_and_what_serves_others_is(
    gateway: Gateway, server: Server, body: object, reason: str
) -> None:
    server.said = (503, body, {"Retry-After": "60"})
    assert (await refused(gateway)).reason == reason
    assert not gateway.breaker.open, "it serves others"
    server.alive = 503
    assert (await refused(gateway)).reason == reason
    assert gateway.breaker.open
    asked = len(server.asked)
    found = await refused(gateway)
    assert (found.reason, found.seconds) == (reason, 60.0)
    assert len(server.asked) == asked
