"""Starting and stopping both transports.

In scope: addresses and ports (taken, freed, by whom), TLS, what stop does to calls under way, and
that nothing of a server is left afterwards.  Out of scope: the order in which a whole engine stops.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import socket
import sys
import threading
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from integration.transport.conftest import Lab, Program
from tenure_common.errors import BadSettingError, PortInUseError
from tenure_sidecar.rpc.ports import addresses
from tenure_sidecar.rpc.servers import make
from tenure_sidecar.rpc.transport import Call, Stream

PATH, STREAM, ECHO = "/t.T/Method", "/t.T/Stream", "/t.T/Echo"


def echo(call: Call) -> None:
    call.reply(call.request)


async def status(call: grpc.aio.Call) -> tuple[str, str]:
    """The call's status, by name, and message."""
    return (await call.code()).name, await call.details()


async def test_localhost_is_every_loopback_address(lab: Lab) -> None:
    _, port = await lab.serve({ECHO: echo})
    for address in addresses("localhost"):
        where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        async with grpc.aio.insecure_channel(where) as channel:
            assert await channel.unary_unary(ECHO)(b"x", timeout=60) == b"x"


async def test_single_address_is_only_that(kind: str) -> None:
    server = make(kind, host="127.0.0.1", port=0, unary={}, streams={})
    port = await server.start()
    with socket.socket() as other:
        other.settimeout(60)
        assert other.connect_ex(("127.0.0.2", port)) != 0
    await server.stop(0)


async def test_taken_port_names_its_holder_and_the_flag(kind: str, server: Program) -> None:
    second = make(kind, port=server.port, unary={}, streams={}, port_flag="--taskhub-port")
    with pytest.raises(PortInUseError) as caught:
        await second.start()
    assert f":{server.port} is in use" in caught.value.message
    assert f"(pid {server.process.pid})" in caught.value.message
    assert "--taskhub-port" in caught.value.message
    await second.stop(0)
    await server.healthy()


async def test_nothing_is_left_of_a_start_that_failed(kind: str) -> None:
    """The first address is free, the second is not."""
    if len(addresses("localhost")) == 1:
        pytest.skip("no ::1 on this machine")
    before = set(threading.enumerate())
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as taken:
        taken.bind(("::1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = make(kind, port=port, unary={}, streams={})
        with pytest.raises(PortInUseError):
            await server.start()
        with socket.socket() as first:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            first.bind(("127.0.0.1", port))
    if kind == "native":  # gRPC keeps a pool of its own
        assert not _threads_since(before)


async def test_port_is_free_again_after_stop(kind: str) -> None:
    port = 0
    for _ in range(3):
        server = make(kind, port=port, unary={ECHO: echo}, streams={})
        port = await server.start()
        async with grpc.aio.insecure_channel(
            f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            assert await channel.unary_unary(ECHO)(b"x", timeout=60) == b"x"
        await server.stop(1)


async def test_stop_may_come_before_start_and_twice(kind: str) -> None:
    server = make(kind, port=0, unary={}, streams={})
    await server.stop(0)
    await server.start()
    await server.stop(0)
    await server.stop(0)


async def test_call_under_way_finishes_within_the_grace(lab: Lab) -> None:
    calls: asyncio.Queue[Call] = asyncio.Queue()
    server, port = await lab.serve({PATH: calls.put_nowait})
    asked = lab.channel(port).unary_unary(PATH)(b"x", timeout=60)
    call = await _first(calls, asked)
    stopping = asyncio.ensure_future(server.stop(60))
    await _until_refused(lab.channel(port).unary_unary(PATH))
    assert not stopping.done()
    call.reply(b"done")
    assert await asked == b"done"
    async with asyncio.timeout(60):
        await stopping


async def test_stream_under_way_finishes_within_the_grace(lab: Lab) -> None:
    streams: asyncio.Queue[Stream] = asyncio.Queue()
    server, port = await lab.serve(streams={STREAM: streams.put_nowait})
    reading = lab.channel(port).unary_stream(STREAM)(b"", timeout=60)
    stream = await streams.get()
    stopping = asyncio.ensure_future(server.stop(60))
    await _until_refused(lab.channel(port).unary_stream(STREAM))
    for number in range(200):
        stream.send(b"%d" % number)
    stream.end()
    got = [message async for message in reading]
    assert got[:1] == [b"0"]
    assert got == [b"%d" % n for n in range(len(got))]
    assert await reading.code() is grpc.StatusCode.OK
    async with asyncio.timeout(60):
        await stopping


async def test_what_does_not_finish_is_told_so_and_called_back(lab: Lab) -> None:
    gone: list[str] = []
    calls: asyncio.Queue[Call] = asyncio.Queue()
    streams: asyncio.Queue[Stream] = asyncio.Queue()

    def hold(call: Call) -> None:
        call.on_cancel(lambda: gone.append("call"))
        calls.put_nowait(call)

    def feed(stream: Stream) -> None:
        stream.on_cancel(lambda: gone.append("stream"))
        streams.put_nowait(stream)

    server, port = await lab.serve({PATH: hold}, {STREAM: feed})
    channel = lab.channel(port)
    asked = channel.unary_unary(PATH)(b"x", timeout=60)
    reading = channel.unary_stream(STREAM)(b"", timeout=60)
    call, stream = await _first(calls, asked), await streams.get()
    async with asyncio.timeout(60):
        await server.stop(0.05)
    assert sorted(gone) == ["call", "stream"]
    for each in (asked, reading):
        code, details = await status(each)
        assert code == "UNAVAILABLE"
        assert "shutting down" in details
    call.reply(b"too late")
    stream.end()
    assert sorted(gone) == ["call", "stream"]


async def test_answers_given_just_before_stop_arrive(lab: Lab) -> None:
    held: list[Call] = []
    everyone = asyncio.Event()

    def gather(call: Call) -> None:
        held.append(call)
        if len(held) == 500:
            everyone.set()

    server, port = await lab.serve({PATH: gather})
    method = lab.channel(port).unary_unary(PATH)
    asked = [method(b"%d" % n, timeout=60) for n in range(500)]
    await everyone.wait()
    for call in held:
        call.reply(call.request * 100)
    await server.stop(10)
    assert [await each for each in asked] == [b"%d" % n * 100 for n in range(500)]


async def test_slow_reader_does_not_keep_a_server_from_stopping(lab: Lab) -> None:
    streams: asyncio.Queue[Stream] = asyncio.Queue()
    server, port = await lab.serve(streams={STREAM: streams.put_nowait})
    reading = lab.channel(port).unary_stream(STREAM)(b"", timeout=60)
    stream = await streams.get()
    while stream.send(bytes(65536)).name == "SENT":
        pass
    stream.end()
    async with asyncio.timeout(60):
        await server.stop(0.05)
    reading.cancel()


async def test_threads_end_with_their_server() -> None:
    """The native one's; gRPC keeps a pool of its own."""
    before = set(threading.enumerate())
    server = make("native", port=0, unary={ECHO: echo}, streams={})
    await server.start()
    assert _threads_since(before)
    await server.stop(0)
    assert not _threads_since(before)


async def test_process_ends_though_nobody_stopped_its_server(kind: str) -> None:
    """A crash of the program around it must not leave a process that hangs."""
    code = (
        "import asyncio, sys\n"
        "from tenure_sidecar.rpc.servers import make\n"
        "async def main():\n"
        f"    server = make({kind!r}, port=0, unary={{}}, streams={{}})\n"
        "    await server.start()\n"
        "    raise SystemExit(7)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env={"PYTHONPATH": ":".join(sys.path)}
    )
    async with asyncio.timeout(60):
        assert await process.wait() == 7


async def test_native_listens_on_loopback_only() -> None:
    with pytest.raises(BadSettingError, match="--transport grpcio"):
        make("native", host="0.0.0.0", port=0, unary={}, streams={})


async def test_grpcio_listens_anywhere() -> None:
    server = make("grpcio", host="0.0.0.0", port=0, unary={ECHO: echo}, streams={})
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.2:{port}") as channel:
        assert await channel.unary_unary(ECHO)(b"x", timeout=60) == b"x"
    await server.stop(0)


async def test_grpcio_serves_tls() -> None:
    key, certificate = _certificate()
    server = make(
        "grpcio",
        host="127.0.0.1",
        port=0,
        unary={ECHO: echo},
        streams={},
        credentials=grpc.ssl_server_credentials([(key, certificate)]),
    )
    port = await server.start()
    trusted = grpc.ssl_channel_credentials(certificate)
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", trusted) as channel:
        assert await channel.unary_unary(ECHO)(b"x", timeout=60) == b"x"
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(ECHO)(b"x", timeout=60)
    await server.stop(0)


def _certificate() -> tuple[bytes, bytes]:
    """A key and a certificate of its own for 127.0.0.1, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    return (
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        certificate.public_bytes(serialization.Encoding.PEM),
    )


def _threads_since(before: set[threading.Thread]) -> list[threading.Thread]:
    """New threads, without those of the loop's own pool."""
    new = set(threading.enumerate()) - before
    return [one for one in new if not one.name.startswith("asyncio")]


async def _first(calls: asyncio.Queue[Call], asked: grpc.aio.Call) -> Call:
    """The first call to arrive; ``asked`` is on its way by being awaited."""
    waiting = asyncio.ensure_future(calls.get())
    assert not asked.done()
    async with asyncio.timeout(60):
        return await waiting


async def _until_refused(method: Any) -> None:
    """Wait until new calls are turned away; one that came before that is never answered."""
    async with asyncio.timeout(60):
        while await method(b"", timeout=1).code() is not grpc.StatusCode.UNAVAILABLE:
            pass
