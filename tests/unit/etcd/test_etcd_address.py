"""``etcd://…``: what it names, and that nothing in it is guessed."""

from __future__ import annotations

import pytest

from tenure_common.errors import BadSettingError
from tenure_sidecar.etcd import Tls, User
from tenure_sidecar.store.etcd import Address, parse

TWO = ("http://[fd00::1]:2379", "http://[fd00::2]:2379")
FILES = Tls("ca.pem", "cert.pem", "key.pem")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("etcd://a", Address(endpoints=("http://a:2379",))),
        ("etcd://a:1,b.c:2/", Address(endpoints=("http://a:1", "http://b.c:2"))),
        ("etcd://[::1]:7", Address(endpoints=("http://[::1]:7",))),
        ("etcd://[::1]", Address(endpoints=("http://[::1]:2379",))),
        ("etcd://a,[fd00::1]:7", Address(endpoints=("http://a:2379", "http://[fd00::1]:7"))),
        ("etcd://[fd00::1],[fd00::2]/x", Address(endpoints=TWO, prefix="x")),
        ("etcd://a/x/y.z", Address(endpoints=("http://a:2379",), prefix="x/y.z")),
        ("etcd://a?tls=true", Address(endpoints=("https://a:2379",))),
        ("etcd://a/x?lease=30", Address(endpoints=("http://a:2379",), prefix="x", lease=30)),
        ("etcd://a?timeout=0.5", Address(endpoints=("http://a:2379",), timeout=0.5)),
    ],
)
def test_what_it_names(url: str, address: Address) -> None:
    assert parse(url) == address


def test_files_mean_tls() -> None:
    assert parse("etcd://a", tls=FILES).endpoints == ("https://a:2379",)
    assert parse("etcd://a", tls=Tls(ca="ca.pem")).endpoints == ("https://a:2379",)
    assert parse("etcd://a", tls=FILES).tls == FILES


def test_the_user_is_kept() -> None:
    assert parse("etcd://a", user=User("me", "pw")).user == User("me", "pw")


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("etcd://", "form etcd://HOST"),
        ("etcd:a", "form etcd://HOST"),
        ("http://a", "form etcd://HOST"),
        ("etcd://a#b", "form etcd://HOST"),
        ("etcd://a,", "'' is not HOST"),
        ("etcd://a:0", "'a:0' is not HOST"),
        ("etcd://a:70000", "'a:70000' is not HOST"),
        ("etcd://a b", "'a b' is not HOST"),
        ("etcd://[::1", "is not HOST"),
        ("etcd://[zz]:1", "is not HOST"),
        ("etcd://[1.2.3.4]:1", "is not HOST"),
        ("etcd://fd00::1", "brackets"),
        ("etcd://a/x//y", "prefix 'x//y'"),
        ("etcd://a/x y", "prefix 'x y'"),
        ("etcd://a?leese=3", "leese; known are"),
        ("etcd://a?lease", "cannot be read"),
        ("etcd://a?lease=3&lease=4", "twice"),
        ("etcd://a?lease=1", "from 2 to 3600"),
        ("etcd://a?lease=2.5", "lease=2.5"),
        ("etcd://a?lease=x", "lease=x"),
        ("etcd://a?lease=nan", "lease=nan"),
        ("etcd://a?timeout=0", "timeout=0"),
        ("etcd://a?tls=yes", "tls=yes"),
    ],
)
def test_what_is_refused(url: str, word: str) -> None:
    with pytest.raises(BadSettingError, match=word.replace("?", r"\?")):
        parse(url)


def test_a_secret_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadSettingError, match="--etcd-user") as refused:
        parse("etcd://me:hush@a")
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("tls", [Tls(cert="c"), Tls(key="k"), Tls("ca", "c", "")])
def test_half_a_pair_of_files(tls: Tls) -> None:
    with pytest.raises(BadSettingError, match="go together"):
        parse("etcd://a", tls=tls)


def test_files_without_tls() -> None:
    with pytest.raises(BadSettingError, match="tls=false"):
        parse("etcd://a?tls=false", tls=FILES)
