"""The guard as a pure function: hosts, origins and tokens.

Out of scope: that the server asks it for every request (test_server.py).
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure_sidecar.http.guard import OPEN_PATHS, TOKEN_HEADER, refusal

LOCAL = {"Host": "127.0.0.1:3500"}


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("127.0.0.1:3500", id="ipv4"),
        pytest.param("127.0.0.1", id="without-port"),
        pytest.param("10.1.2.3:3500", id="pod-address"),
        pytest.param("[::1]:3500", id="ipv6"),
        pytest.param("localhost:3500", id="localhost"),
        pytest.param("LOCALHOST:3500", id="capitals"),
        pytest.param("tenure.internal:3500", id="configured"),
    ],
)
def test_known_hosts_pass(host: str) -> None:
    assert refusal("/v1.0/metadata", {"Host": host}, hosts={"tenure.internal"}) is None


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("evil.example:3500", id="rebound-name"),
        pytest.param("127.0.0.1.evil.example", id="address-as-prefix"),
        pytest.param("localhost.evil.example", id="localhost-as-prefix"),
        pytest.param("evil.example#127.0.0.1", id="fragment"),
        pytest.param("evil.example@", id="user"),
        pytest.param("", id="empty"),
        pytest.param("[::1", id="broken-ipv6"),
        pytest.param("2130706433.evil", id="number-and-name"),
        pytest.param("not.configured", id="other-name"),
    ],
)
def test_unknown_hosts_are_refused(host: str) -> None:
    refused = refusal("/v1.0/metadata", {"Host": host}, hosts={"tenure.internal"})
    assert refused is not None
    assert (refused.status, refused.code) == (403, "ERR_HOST_NOT_ALLOWED")


def test_missing_host_is_refused() -> None:
    assert refusal("/v1.0/healthz", {}) is not None


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="a-program"),
        pytest.param({"Origin": "http://127.0.0.1:3500"}, id="own-page"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, id="own-page-says-the-browser"),
        pytest.param({"Sec-Fetch-Site": "none"}, id="typed-by-a-person"),
        pytest.param({"Sec-Fetch-Mode": "cors"}, id="fetch-of-node"),
    ],
)
def test_programs_and_own_pages_pass(headers: dict[str, str]) -> None:
    assert refusal("/v1.0/metadata", LOCAL | headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "https://evil.example"}, id="foreign-page"),
        pytest.param({"Origin": "null"}, id="sandboxed-page"),
        pytest.param({"Origin": ""}, id="empty"),
        pytest.param({"Origin": "http://127.0.0.1:8080"}, id="other-port"),
        pytest.param({"Origin": "http://127.0.0.1:3500.evil.example"}, id="prefix"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="cross-site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, id="same-site"),
        pytest.param(
            {"Origin": "http://127.0.0.1:3500", "Sec-Fetch-Site": "cross-site"}, id="contradiction"
        ),
    ],
)
def test_pages_of_others_are_refused(headers: dict[str, str]) -> None:
    refused = refusal("/v1.0/healthz", LOCAL | headers)
    assert refused is not None
    assert (refused.status, refused.code) == (403, "ERR_ORIGIN_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("path", "given_token", "passes"),
    [
        pytest.param("/v1.0/metadata", "secret", True, id="right"),
        pytest.param("/v1.0/metadata", "Secret", False, id="wrong"),
        pytest.param("/v1.0/metadata", "", False, id="none"),
        pytest.param("/v1.0/metadata", "secre\u00e9", False, id="not-ascii"),
        pytest.param("/v1.0/healthz", "", True, id="health"),
        pytest.param("/v1.0/healthz/outbound", "", True, id="outbound"),
        pytest.param("/v1.0/healthz/", "", False, id="health-and-slash"),
        pytest.param("/v1.0/healthz/../metadata", "", False, id="health-as-prefix"),
        pytest.param("/v1.0/workflows/healthz", "", False, id="health-as-suffix"),
        pytest.param("/metrics", "", False, id="metrics"),
    ],
)
def test_token(path: str, given_token: str, passes: bool) -> None:
    headers = LOCAL | ({TOKEN_HEADER: given_token} if given_token else {})
    refused = refusal(path, headers, token="secret")
    assert (refused is None) is passes
    if refused is not None:
        assert (refused.status, refused.code) == (401, "ERR_API_TOKEN")


def test_no_token_is_needed_when_none_is_set() -> None:
    assert refusal("/v1.0/metadata", LOCAL) is None


@given(st.text())
def test_only_the_exact_health_paths_are_open(path: str) -> None:
    if path not in OPEN_PATHS:
        assert refusal(path, LOCAL, token="secret") is not None


@given(st.text())
def test_no_host_header_breaks_the_guard(host: str) -> None:
    refusal("/v1.0/healthz", {"Host": host})


def test_a_token_that_is_no_text_is_wrong() -> None:
    refused = refusal("/v1.0/metadata", LOCAL | {TOKEN_HEADER: "\udcff"}, token="right")
    assert refused is not None
    assert refused.status == 401
