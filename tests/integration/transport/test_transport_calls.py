"""Unary calls through both transports, with real gRPC clients (sync and asyncio).

In scope: payloads, metadata, peer and deadline as handlers see them; statuses as clients see them;
the one end of a call (late and second answers, cancels, deadlines); unknown methods; concurrency.
Out of scope: sizes (test_transport_limits), starting and stopping (test_transport_lifecycle).
"""

from __future__ import annotations

import asyncio
import json
import sys

import grpc
import grpc.aio
import pytest

from integration.transport.conftest import Lab, Program
from tenure_common.errors import NoSuchInstanceError
from tenure_sidecar.rpc.transport import STATUS, Call

PATH = "/t.T/Method"


def echo(call: Call) -> None:
    call.reply(call.request)


class Held:
    """A handler that keeps its calls for the test to answer."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[Call] = asyncio.Queue()
        self.cancelled: asyncio.Queue[Call] = asyncio.Queue()

    def __call__(self, call: Call) -> None:
        call.on_cancel(lambda: self.cancelled.put_nowait(call))
        self.calls.put_nowait(call)


@pytest.mark.parametrize("payload", [b"", b"\x00", b"x" * 100_000], ids=["empty", "nul", "100kB"])
async def test_payload_comes_back_as_it_was(lab: Lab, payload: bytes) -> None:
    _, port = await lab.serve({PATH: echo})
    assert await lab.channel(port).unary_unary(PATH)(payload, timeout=60) == payload


async def test_sync_client_is_served(server: Program) -> None:
    def ask() -> bytes:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            return bytes(channel.unary_unary("/t.T/Echo")(b"hello", timeout=60))

    assert await asyncio.to_thread(ask) == b"hello"


async def test_handler_sees_metadata_peer_and_deadline(lab: Lab) -> None:
    seen: list[Call] = []

    def look(call: Call) -> None:
        seen.append(call)
        call.reply(b"")

    _, port = await lab.serve({PATH: look})
    sent = (("taskhub", "default"), ("taskhub", "again"), ("trace-bin", b"\x00\xff\x80"))
    method = lab.channel(port).unary_unary(PATH)
    await method(b"", metadata=sent, timeout=60)
    await method(b"")
    limited, free = seen
    assert [pair for pair in limited.metadata if pair[0] in {"taskhub", "trace-bin"}] == list(sent)
    assert any(key == "user-agent" for key, _ in limited.metadata)
    assert not [key for key, _ in limited.metadata if key.startswith(":") or key != key.lower()]
    assert limited.peer.startswith(("ipv4:127.0.0.1:", "ipv6:"))
    assert limited.time_remaining is not None
    assert 0 < limited.time_remaining <= 61  # gRPC rounds the time-out that it sends
    assert free.time_remaining is None


@pytest.mark.parametrize("code", STATUS)
async def test_every_status_arrives_with_its_message(lab: Lab, code: str) -> None:
    message = f"no: {code} – ünïcode, 100 % and\nlines"
    _, port = await lab.serve({PATH: lambda call: call.fail(code, message)})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lab.channel(port).unary_unary(PATH)(b"", timeout=60)
    assert caught.value.code().name == code
    assert caught.value.code().value[0] == STATUS[code]
    assert caught.value.details() == message


@pytest.mark.parametrize("path", ["/t.T/Other", "/t.U/Method", "/t.T/method"])
async def test_unknown_method_is_unimplemented(lab: Lab, path: str) -> None:
    _, port = await lab.serve({PATH: echo})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lab.channel(port).unary_unary(path)(b"", timeout=60)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    if lab.kind == "grpcio":
        assert path in (caught.value.details() or "")
    else:  # the front's own words, which cannot be changed
        assert caught.value.details() == "Method not found!"


async def test_answer_may_come_in_any_order_and_later(lab: Lab) -> None:
    held = Held()
    _, port = await lab.serve({PATH: held})
    method = lab.channel(port).unary_unary(PATH)
    answers = [asyncio.ensure_future(_ask(method, b"%d" % n)) for n in range(3)]
    calls = sorted([await held.calls.get() for _ in answers], key=lambda call: call.request)
    for call in reversed(calls):
        call.reply(call.request * 2)
    assert await asyncio.gather(*answers) == [b"00", b"11", b"22"]


async def test_first_answer_counts(lab: Lab) -> None:
    def eager(call: Call) -> None:
        call.reply(b"first")
        call.reply(b"second")
        call.fail("INTERNAL", "third")

    _, port = await lab.serve({PATH: eager})
    method = lab.channel(port).unary_unary(PATH)
    assert [await method(b"", timeout=60) for _ in range(3)] == [b"first"] * 3


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ValueError("odd"), grpc.StatusCode.INTERNAL, "ValueError: odd [TN0001]"),
        (NoSuchInstanceError("no such instance"), grpc.StatusCode.NOT_FOUND, "[TN0101]"),
    ],
    ids=["unexpected", "coded"],
)
async def test_raising_handler_ends_its_call_only(
    lab: Lab, error: Exception, code: grpc.StatusCode, words: str
) -> None:
    def raises(_call: Call) -> None:
        raise error

    _, port = await lab.serve({PATH: raises, "/t.T/Echo": echo})
    channel = lab.channel(port)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(PATH)(b"", timeout=60)
    assert caught.value.code() is code
    assert words in (caught.value.details() or "")
    assert await channel.unary_unary("/t.T/Echo")(b"on", timeout=60) == b"on"


async def test_raising_after_the_answer_harms_nobody(lab: Lab) -> None:
    """Calls that arrive together are handled together: the one behind must be served all the same."""

    def raises(call: Call) -> None:
        call.reply(call.request)
        raise RuntimeError("a bug")

    _, port = await lab.serve({PATH: raises, "/t.T/Echo": echo})
    channel = lab.channel(port)
    calls = [
        channel.unary_unary(path)(str(index).encode(), timeout=60)
        for index in range(100)
        for path in (PATH, "/t.T/Echo")
    ]
    answers = await asyncio.gather(*calls)
    assert answers == [str(index).encode() for index in range(100) for _ in range(2)]


async def test_cancel_calls_back_once_and_a_late_answer_is_ignored(lab: Lab) -> None:
    held = Held()
    _, port = await lab.serve({PATH: held, "/t.T/Echo": echo})
    channel = lab.channel(port)
    asked = asyncio.ensure_future(_ask(channel.unary_unary(PATH), b"x"))
    call = await held.calls.get()
    asked.cancel()
    assert await held.cancelled.get() is call
    call.reply(b"too late")
    call.fail("INTERNAL", "later still")
    assert await channel.unary_unary("/t.T/Echo")(b"on", timeout=60) == b"on"
    assert held.cancelled.empty()


async def test_deadline_calls_back_and_the_client_is_told(lab: Lab) -> None:
    held = Held()
    _, port = await lab.serve({PATH: held})
    channel = lab.channel(port)
    await channel.channel_ready()  # the time is to end at the server, not on the way to it
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(PATH)(b"", timeout=1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await held.cancelled.get() is await held.calls.get()


async def test_no_call_back_after_the_answer(lab: Lab) -> None:
    held = Held()
    _, port = await lab.serve({PATH: held, "/t.T/Echo": echo})
    channel = lab.channel(port)
    asked = asyncio.ensure_future(_ask(channel.unary_unary(PATH), b"x"))
    call = await held.calls.get()
    call.reply(b"done")
    assert await asked == b"done"
    await channel.close()
    assert await lab.channel(port).unary_unary("/t.T/Echo")(b"on", timeout=60) == b"on"
    assert held.cancelled.empty()


async def test_call_back_that_is_asked_for_late_still_comes(lab: Lab) -> None:
    held = Held()
    _, port = await lab.serve({PATH: held})
    asked = asyncio.ensure_future(_ask(lab.channel(port).unary_unary(PATH), b"x"))
    call = await held.calls.get()
    asked.cancel()
    await held.cancelled.get()
    late = asyncio.Event()
    call.on_cancel(late.set)
    async with asyncio.timeout(60):
        await late.wait()


async def test_raising_call_back_does_not_stop_the_others(lab: Lab) -> None:
    second = asyncio.Event()

    def twice(call: Call) -> None:
        call.on_cancel(lambda: (_ for _ in ()).throw(ValueError("odd")))
        call.on_cancel(second.set)

    _, port = await lab.serve({PATH: twice})
    channel = lab.channel(port)
    await channel.channel_ready()
    with pytest.raises(grpc.aio.AioRpcError):
        await channel.unary_unary(PATH)(b"", timeout=1)
    async with asyncio.timeout(60):
        await second.wait()


async def test_thousand_calls_at_once(lab: Lab) -> None:
    held: list[Call] = []

    def gather(call: Call) -> None:
        held.append(call)
        if len(held) == 1000:
            for each in held:
                each.reply(each.request)

    _, port = await lab.serve({PATH: gather})
    method = lab.channel(port).unary_unary(PATH)
    answers = await asyncio.gather(*(_ask(method, b"%d" % n) for n in range(1000)))
    assert answers == [b"%d" % n for n in range(1000)]


async def test_vanished_process_frees_its_calls(server: Program) -> None:
    """A client process that is killed, with ten calls open."""
    code = (
        "import grpc,sys\n"
        f"c=grpc.insecure_channel('127.0.0.1:{server.port}')\n"
        "f=[c.unary_unary('/t.T/Hold').future(b'') for _ in range(10)]\n"
        "c.unary_unary('/t.T/Echo')(b'')\n"
        "print('asked',flush=True)\nsys.stdin.read()\n"
    )
    client = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert client.stdout is not None
    await client.stdout.readline()
    async with asyncio.timeout(60):
        while (await server.stats())["open"] < 10:
            pass
    client.kill()
    await client.wait()
    await server.healthy()
    assert (await server.stats())["cancelled"] == 10


async def test_metadata_is_told_over_the_wire_too(server: Program) -> None:
    told = json.loads(
        await server.channel.unary_unary("/t.T/Meta")(b"", metadata=(("a-bin", b"\x01\x02"),))
    )
    assert ["a-bin", "0102"] in told["metadata"]
    assert told["time_remaining"] is None


async def _ask(method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes], request: bytes) -> bytes:
    return await method(request, timeout=60)
