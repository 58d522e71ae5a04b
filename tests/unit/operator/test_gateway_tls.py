"""The operator when the authority of the gateway is replaced: a real TLS server."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from tenure_operator.gateway import Access, App, Gateway, RefusedError

APP = App("shop", "orders")


async def test_a_new_authority_is_read_when_the_old_one_does_not_vouch(tmp_path: Path) -> None:
    async def absent(_: web.Request) -> web.Response:
        error = {"code": "TN0101", "message": "no such instance"}
        return web.json_response(error, status=404)

    application = web.Application()
    application.router.add_get("/{rest:.*}", absent)
    runner = web.AppRunner(application)
    await runner.setup()
    new, ca = trustme.CA(), tmp_path / "ca.crt"
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    new.issue_cert("127.0.0.1").configure_cert(served)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=served)
    await site.start()
    port = runner.addresses[0][1]
    trustme.CA().cert_pem.write_to_path(ca)
    gateway = Gateway(
        Access(f"https://127.0.0.1:{port}/v1alpha1/namespaces/{{namespace}}", ca=str(ca))
    )
    try:
        with pytest.raises(RefusedError):
            await gateway.look(APP, "x")
        back = asyncio.Event()
        gateway.breaker.listeners.append(back.set)
        new.cert_pem.write_to_path(ca)
        await back.wait()
        assert await gateway.look(APP, "x") is None
    finally:
        await gateway.close()
        await runner.cleanup()
