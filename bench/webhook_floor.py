"""What a review costs that nobody decides: servers that read one and send what they are told to.

``python bench/webhook_floor.py threads|asyncio|aiohttp --port P --certificate F --key F --answer FILE``

*threads* is the floor of Python: a thread for each connection that blocks in it.  *asyncio* is that of
its event loop: one write for each request, nothing between TLS and it.  *aiohttp* is the library that
the injector stands on, with nothing in the handler.  All send the bytes of ``FILE`` as the body, so
that an exchange has the size of the injector's.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import ssl
import threading
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
        if whole(self._read):
            self._read.clear()
            self._transport.write(self._answer)


def whole(read: bytes | bytearray) -> bool:
    """Whether that is all of a request."""
    end = read.find(b"\r\n\r\n")
    if end < 0:
        return False
    _, _, rest = read[:end].lower().partition(b"content-length:")
    return len(read) >= end + 4 + int(rest.split(b"\r\n", 1)[0])


def block(port: int, tls: ssl.SSLContext, answer: bytes) -> None:
    """Serve until the process is ended, with a thread for each connection."""

    def talk(plain: socket.socket) -> None:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with tls.wrap_socket(plain, server_side=True) as connection:
                read = b""
                while more := connection.recv(65536):
                    read += more
                    if whole(read):
                        connection.sendall(answer)
                        read = b""
        except OSError:
            return  # whoever called has left

    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            accepted, _ = server.accept()
            threading.Thread(target=talk, args=(accepted,), daemon=True).start()


async def serve(kind: str, port: int, tls: ssl.SSLContext, body: bytes) -> None:
    """Serve until the process is ended."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    answer = head + str(len(body)).encode() + b"\r\n\r\n" + body
    if kind == "threads":
        await asyncio.to_thread(block, port, tls, answer)
    elif kind == "asyncio":
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
    parser.add_argument("kind", choices=("threads", "asyncio", "aiohttp"))
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
