"""Which flavour a work stream speaks.

In scope: the first bytes and headers of every SDK, captured, on both ports; the order of evidence;
what is known of each SDK's ways.  Out of scope: what the request says (test_*_turns).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tenure_common.errors import BadRequestError
from tenure_sidecar.wire.flavour import Choice, choose

PYTHON = "grpc-python/1.76.0 grpc-c/51.0.0 (linux; chttp2)"
PYTHON_AIO = "grpc-python-asyncio/1.76.0 grpc-c/51.0.0 (linux; chttp2)"
JAVA = "grpc-java-netty/1.79.0"
DOTNET = "grpc-dotnet/2.76.0 (.NET 10.0; CLR 10.0; net10.0; linux; x64)"
GO = "grpc-go/1.79.0"
NODE = "grpc-node-js/1.14.0"

MIB = 1024 * 1024
DAPR_PORT, MICROSOFT_PORT = "dapr", "microsoft"


@dataclass(frozen=True)
class Sdk:
    """What an SDK sends, and what is to be made of it."""

    request: str
    agent: str
    dapr_port: str  # flavour on port 50001
    microsoft_port: str  # and on port 4001
    headers: dict[str, str] = field(default_factory=dict)
    ping: bool = False  # on the port that the SDK is made for
    total: int = 200
    receives: int = 4 * MIB


SDKS = {
    "durabletask 1.12": Sdk("08c80110c801", PYTHON, "dapr", "microsoft", ping=True, total=400),
    "durabletask 1.12 for the scheduler": Sdk(
        "08c80110c801520102",
        PYTHON,
        "microsoft",
        "microsoft",
        {"taskhub": "hub", "x-user-agent": "durabletask-python/1.12.0", "workerid": "w"},
        ping=True,
        total=400,
    ),
    "durabletask 1.12 with filters": Sdk(
        "08c80110c8015a060a040a02616f", PYTHON, "microsoft", "microsoft", ping=True, total=400
    ),
    "durabletask-dapr 0.17": Sdk("08c80110c801", PYTHON, "dapr", "microsoft", total=400),
    "dapr 1.18": Sdk("", PYTHON, "dapr", "microsoft"),
    "dapr 1.18 with a token": Sdk("", PYTHON, "dapr", "dapr", {"dapr-api-token": "secret"}),
    "dapr 1.19": Sdk("22020302", PYTHON, "dapr", "dapr", ping=True, receives=128 * MIB),
    "dapr 1.19, asyncio": Sdk(
        "22020302", PYTHON_AIO, "dapr", "dapr", ping=True, receives=128 * MIB
    ),
    "@microsoft/durabletask-js 0.4": Sdk(
        "", f"durabletask-js {NODE}", "microsoft", "microsoft", receives=128 * MIB
    ),
    "@dapr/durabletask-js 1.0": Sdk(
        "", f"durabletask-js {NODE}", "microsoft", "microsoft", receives=128 * MIB
    ),
    "@dapr/dapr 3.18": Sdk(
        "",
        f"dapr-js-sdk/workflow {NODE}",
        "dapr",
        "dapr",
        total=10,
        receives=128 * MIB,
    ),
    "Microsoft Java, bare": Sdk("", JAVA, "dapr", "microsoft", ping=True),
    "Microsoft Java with entities": Sdk("1864", JAVA, "microsoft", "microsoft", ping=True),
    "Microsoft Java with payloads": Sdk("520103", JAVA, "microsoft", "microsoft", ping=True),
    "Dapr Java": Sdk("", JAVA, "dapr", "microsoft"),
    "Dapr Java by its name": Sdk("", f"dapr-sdk-java/1.17 {JAVA}", "dapr", "dapr"),
    "Dapr Go": Sdk("220102", GO, "dapr", "dapr"),
    "Dapr Go without a cache": Sdk("", f"dapr-sdk-go/1.14 {GO}", "dapr", "dapr"),
    "Microsoft .NET": Sdk("086410641864520201025a00", DOTNET, "microsoft", "microsoft", ping=True),
    "Dapr .NET": Sdk("", f"dapr-sdk-dotnet/1.17 {DOTNET}", "dapr", "dapr"),
    "Dapr .NET, bare": Sdk("", DOTNET, "dapr", "microsoft"),
    "a worker id alone": Sdk("620177", GO, "microsoft", "microsoft", ping=True),
}
# Sends the same as its neighbour and is made for the other port.
MADE_FOR_4001 = {"durabletask 1.12", "Microsoft Java, bare"}


def chosen(sdk: Sdk, port: str, *, forced: str | None = None, **headers: str) -> Choice:
    every = {"user-agent": sdk.agent, **sdk.headers} | {
        key.replace("_", "-"): value for key, value in headers.items()
    }
    return choose(tuple(every.items()), bytes.fromhex(sdk.request), default=port, forced=forced)


@pytest.mark.parametrize("name", SDKS)
def test_flavour_by_port(name: str) -> None:
    sdk = SDKS[name]
    assert chosen(sdk, DAPR_PORT).flavour == sdk.dapr_port
    assert chosen(sdk, MICROSOFT_PORT).flavour == sdk.microsoft_port


@pytest.mark.parametrize("name", SDKS)
def test_ways(name: str) -> None:
    sdk = SDKS[name]
    choice = chosen(sdk, MICROSOFT_PORT if name in MADE_FOR_4001 else DAPR_PORT)
    assert choice.health_ping is sdk.ping
    assert choice.max_total == sdk.total
    assert choice.message_bytes == sdk.receives
    assert (choice.max_turns, choice.max_activities) == (100, 100)


@pytest.mark.parametrize("port", [DAPR_PORT, MICROSOFT_PORT])
@pytest.mark.parametrize("name", [n for n, s in SDKS.items() if s.dapr_port == s.microsoft_port])
def test_what_tells_its_flavour_says_why(name: str, port: str) -> None:
    choice = chosen(SDKS[name], port)
    assert "port" not in choice.reason
    assert not choice.guessed


@pytest.mark.parametrize("name", [n for n, s in SDKS.items() if s.dapr_port != s.microsoft_port])
def test_what_does_not_depends_on_the_port(name: str) -> None:
    choice = chosen(SDKS[name], MICROSOFT_PORT)
    assert choice.reason == "nothing tells the flavour, and this port is for microsoft"
    assert choice.guessed


# --- the order of evidence -----------------------------------------------------------------------


@pytest.mark.parametrize("forced", ["dapr", "microsoft"])
@pytest.mark.parametrize("name", SDKS)
def test_the_server_s_setting_beats_all_evidence(name: str, forced: str) -> None:
    choice = chosen(SDKS[name], DAPR_PORT, forced=forced)
    assert choice.flavour == forced
    assert choice.reason == "the server is set to it"


@pytest.mark.parametrize("named", ["dapr", "microsoft"])
def test_the_worker_s_own_word_beats_the_setting(named: str) -> None:
    other = "microsoft" if named == "dapr" else "dapr"
    choice = chosen(SDKS["dapr 1.19"], other, forced=other, tenure_flavour=named)
    assert choice.flavour == named


@pytest.mark.parametrize(
    ("request_hex", "headers", "flavour"),
    [
        pytest.param("220102", {"taskhub": "h"}, "microsoft", id="taskhub before field 4"),
        pytest.param(
            "220102",
            {"x-user-agent": "durabletask-net/1.0"},
            "microsoft",
            id="x-user-agent before field 4",
        ),
        pytest.param("220102", {"x-user-agent": "curl"}, "dapr", id="other x-user-agent"),
        pytest.param("1864220102", {}, "dapr", id="field 4 before field 3"),
        pytest.param(
            "1864", {"user-agent": "dapr-js-sdk/workflow"}, "microsoft", id="field before agent"
        ),
        pytest.param(
            "520101", {"dapr-api-token": "s"}, "microsoft", id="field before dapr-api-token"
        ),
        pytest.param(
            "",
            {"user-agent": "durabletask-js x", "dapr-api-token": "s"},
            "microsoft",
            id="agent before dapr-api-token",
        ),
        pytest.param("5a00", {}, "microsoft", id="empty filters are filters"),
        pytest.param("2200", {}, "", id="empty capabilities are none"),
        pytest.param("1800", {}, "", id="no entities are none"),
        pytest.param("", {}, "", id="nothing at all"),
    ],
)
@pytest.mark.parametrize("port", [DAPR_PORT, MICROSOFT_PORT])
def test_evidence_in_order(
    request_hex: str, headers: dict[str, str], flavour: str, port: str
) -> None:
    choice = choose(tuple(headers.items()), bytes.fromhex(request_hex), default=port, forced=None)
    assert choice.flavour == (flavour or port)


def test_the_cap_follows_what_is_announced() -> None:
    # 8 turns, no word on activities
    choice = choose((), bytes.fromhex("0808"), default=MICROSOFT_PORT, forced=None)
    assert choice.max_total == 108


def test_binary_headers_are_no_evidence() -> None:
    metadata = (("taskhub", b"\x00"), ("trace-bin", b"\x01"))
    assert choose(metadata, b"", default=DAPR_PORT, forced=None).flavour == "dapr"


def test_an_unknown_flavour_is_refused() -> None:
    with pytest.raises(BadRequestError, match="tenure-flavour is 'azure'"):
        choose((("tenure-flavour", "azure"),), b"", default=DAPR_PORT, forced=None)


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05", b"\x62\x01\xff"], ids=repr)
def test_broken_requests_are_refused(data: bytes) -> None:
    with pytest.raises(BadRequestError, match=r"^TN0004: GetWorkItems: "):
        choose((), data, default=DAPR_PORT, forced=None)
