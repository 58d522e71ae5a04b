"""What a review costs that nobody decides: servers that read one and send what they are told to.

``python bench/webhook_floor.py asyncio|aiohttp --port P --certificate F --key F --answer FILE``

*asyncio* is the floor: one write for each request, nothing between TLS and it.  *aiohttp* is the
library that the injector stands on, with nothing in the handler.  Both send the bytes of ``FILE`` as
the body, so that an exchange has the size of the injector's.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
from pathlib import Path

from aiohttp import web


class Bare(asyncio.Protocol):
    """HTTP as far as a length in the head."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._read = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer when a request is whole."""
        self._read += data
        end = self._read.find(b"\r\n\r\n")
        if end < 0:
            return
        _, _, rest = self._read[:end].lower().partition(b"content-length:")
        if len(self._read) >= end + 4 + int(rest.split(b"\r\n", 1)[0]):
            self._read.clear()
            self._transport.write(self._answer)


async def serve(kind: str, port: int, tls: ssl.SSLContext, body: bytes) -> None:
    """Serve until the process is ended."""
    if kind == "asyncio":
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
        answer = head + str(len(body)).encode() + b"\r\n\r\n" + body
        loop = asyncio.get_running_loop()
        await loop.create_server(lambda: Bare(answer), "127.0.0.1", port, ssl=tls)
    else:

        async def mutate(request: web.Request) -> web.Response:
            await request.read()
            return web.Response(body=body, content_type="application/json")

        app = web.Application()
        app.router.add_post("/mutate", mutate)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    await asyncio.Event().wait()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kind", choices=("asyncio", "aiohttp"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--answer", type=Path, required=True)
    given = parser.parse_args()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(given.certificate, given.key)
    asyncio.run(serve(given.kind, given.port, tls, given.answer.read_bytes()))


if __name__ == "__main__":
    main()
