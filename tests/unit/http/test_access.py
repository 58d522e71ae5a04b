"""The access file and what it makes of a request, as pure functions.

Out of scope: TLS, files that change, rights per route (integration/gateway).
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure_common.errors import BadSettingError, BadTokenError, NotPermittedError
from tenure_sidecar.http.access import ANYBODY, Access, Caller, Entry, Shown, parse, shown

TOKEN, OTHER = "t" * 16, "o" * 16
FILE = f"""
[callers.operator]
tokens = ["{TOKEN}"]

[callers.dashboard]
certificates = ["dash", "spiffe://example/dash"]
namespaces = ["shop", "bank"]
read-only = true
"""


def bearer(token: str) -> list[str]:
    return [f"Bearer {token}"]


def test_a_caller_is_known_by_its_token_or_its_certificate() -> None:
    access = parse(FILE, file="f")
    dashboard = Caller("dashboard", frozenset({"shop", "bank"}), read_only=True)
    assert access.caller(bearer(TOKEN), None) == Caller("operator")
    assert access.caller([], Shown("dash")) == dashboard
    assert access.caller([], Shown("", ("spiffe://x/y", "spiffe://example/dash"))) == dashboard
    assert access.by_certificate
    assert access.knows(dashboard)
    assert not access.knows(Caller("dashboard"))


@pytest.mark.parametrize(
    "headers",
    [
        ["Bearer"],
        ["Bearer "],
        [""],
        [TOKEN],
        [f"Basic {TOKEN}"],
        [f"Bearer {TOKEN}x"],
        [f"Bearer {TOKEN[:-1]}"],
        [f"Bearer {TOKEN.upper()}"],
        [f"Bearer {TOKEN}, Bearer {TOKEN}"],
        [f"Bearer {TOKEN}", f"Bearer {TOKEN}"],
        ["Bearer \udcff\udcfe"],
    ],
)
def test_other_headers_are_nobody(headers: list[str]) -> None:
    with pytest.raises(BadTokenError):
        parse(FILE, file="f").caller(headers, Shown("dash"))


@given(st.text())
def test_no_text_is_a_token_by_chance(text: str) -> None:
    access = parse(FILE, file="f")
    try:
        found = access.caller([text], None)
    except BadTokenError:
        return
    assert found == Caller("operator")
    assert text.strip(" ")[7:].strip(" ") == TOKEN


def test_without_anything_the_message_says_what_to_send() -> None:
    with pytest.raises(BadTokenError, match="Authorization: Bearer TOKEN"):
        parse(FILE, file="f").caller([], None)


@pytest.mark.parametrize(
    ("certificate", "named"),
    [
        (Shown("Dash"), "'Dash'"),
        (Shown("spiffe://example/dash"), "spiffe://example/dash"),  # a subject is not a URI
        (Shown("", ("dash",)), "'dash'"),  # nor the other way round
        (Shown(), "'without a name'"),
    ],
)
def test_other_certificates_are_told_their_name(certificate: Shown, named: str) -> None:
    with pytest.raises(NotPermittedError, match=named):
        parse(FILE, file="f").caller([], certificate)


def test_what_a_certificate_says() -> None:
    certificate = {
        "subject": ((("organizationName", "o"),), (("commonName", "one"),)),
        "subjectAltName": (("DNS", "dns"), ("URI", "a://b"), ("URI", "c://d")),
    }
    assert shown(certificate) == Shown("one", ("a://b", "c://d"))
    two = {"subject": ((("commonName", "one"),), (("commonName", "two"),))}
    assert shown(two) == Shown("")
    assert shown({}) is None
    assert shown(None) is None


@pytest.mark.parametrize(
    ("caller", "namespace", "reads", "message"),
    [
        (ANYBODY, "shop", False, ""),
        (Caller("c", frozenset({"shop"})), "shop", False, ""),
        (Caller("c", frozenset({"shop"})), "bank", True, "'c' may not use namespace 'bank'"),
        (Caller("c", frozenset({"shop"})), "shop ", True, "may not use"),
        (Caller("c", frozenset({"shop"})), "", True, "may not use"),
        (Caller("c", None, read_only=True), "shop", True, ""),
        (Caller("c", None, read_only=True), "shop", False, "may only read"),
        (Caller("c", frozenset({"shop"}), read_only=True), "bank", False, "may not use"),
    ],
)
def test_rights(caller: Caller, namespace: str, reads: bool, message: str) -> None:
    if not message:
        caller.check(namespace, reads=reads)
        return
    with pytest.raises(NotPermittedError, match=message):
        caller.check(namespace, reads=reads)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing required field `callers`"),
        ("[callers]", "it names no caller"),
        ("x = ", "cannot be used"),
        ("[callers.a]", "caller 'a' has no token, no certificate"),
        ("[callers.a]\ntokens = []", "has no token"),
        ("[callers.a]\ntoken = 'x'", "unknown field `token`"),
        ("[callers.a]\ntokens = ['0123456789abcde']", "less than 16 characters"),
        ("[callers.a]\ntokens = ['0123456789abcdef\\n']", ""),
        ('[callers.a]\ntokens = ["0123456789abcdef\\n"]', "printable ASCII"),
        ("[callers.a]\ntokens = ['0123456789 abcdef']", "printable ASCII"),
        ("[callers.a]\ntokens = ['0123456789äbcdef']", "printable ASCII"),
        ("[callers.a]\ncertificates = ['']", "certificate without a name"),
        ("[callers.a]\ncertificates = ['x']\nnamespaces = []", "leave it out"),
        (
            "[callers.a]\ncertificates = ['x']\n[callers.b]\ncertificates = ['x']",
            "another caller's",
        ),
        (f"[callers.a]\ntokens = ['{OTHER}']\n[callers.b]\ntokens = ['{OTHER}']", "there already"),
        ("[callers.a]\ncertificates = ['x']\nread-only = 'yes'", "Expected `bool`"),
        ("[others.a]\ntokens = []", "unknown field"),
    ],
)
def test_files_that_cannot_be_used(text: str, message: str) -> None:
    if not message:
        parse(text, file="access.toml")
        return
    with pytest.raises(BadSettingError, match=message) as caught:
        parse(text, file="access.toml")
    assert "'access.toml'" in caught.value.message
    assert OTHER not in caught.value.message


def test_two_tokens_overlap_while_one_is_replaced() -> None:
    access = Access({"a": Entry(tokens=(TOKEN, OTHER))})
    assert access.caller(bearer(TOKEN), None) == access.caller(bearer(OTHER), None)
