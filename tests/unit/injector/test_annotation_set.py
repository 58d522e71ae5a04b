"""From annotations to options: bounds, problems, typos.

Out of scope: Dapr's annotations (test_dapr_annotations.py) and what the options do
(test_mutators.py).
"""

from __future__ import annotations

import msgspec
import pytest

from tenure_injector import annotation_set
from tenure_injector.options import Options
from tenure_injector.texts import Mount, SecretVariable, Variable

# A good value, what becomes of it, and values just outside of what is good.
GOOD_AND_BAD: dict[str, tuple[str, object, tuple[str, ...]]] = {
    "inject": ("true", True, ("yes", "")),
    "app-id": ("orders-2", "orders-2", ("", "Orders", "a_b", "-a", "a-", "a" * 64, "a/b", "ä")),
    "native-sidecar": ("false", False, ("maybe",)),
    "sidecar-image": ("example.org/tenure:1@sha256:00", None, ("", "a b", ":1", "a" * 600)),
    "sidecar-image-pull-policy": ("Always", None, ("always", "Sometimes")),
    "sidecar-cpu-request": ("100m", None, ("0", "much", "-1")),
    "sidecar-cpu-limit": ("1.5", None, ("0", "")),
    "sidecar-memory-request": ("64Mi", None, ("64MB", "0")),
    "sidecar-memory-limit": ("1Gi", None, ("1GiB",)),
    "grpc-port": ("1", 1, ("0", "65536", "-1", "http", "50001.5", "")),
    "taskhub-port": ("65535", 65535, ("65536",)),
    "http-port": ("3600", 3600, ("0",)),
    "health-port": ("3601", 3601, ("x",)),
    "peers-port": ("50003", 50003, ("70000",)),
    "log-level": ("debug", "debug", ("DEBUG", "trace")),
    "log-format": ("human", "human", ("text",)),
    "store": ("etcd://etcd:2379", None, ("etcd", "https://etcd", "mysql:x", "sqlite:")),
    "api-token-secret": ("tokens", "tokens", ("My", "a/b", "")),
    "store-secret": ("my.store", "my.store", ("My", "a/b", "")),
    "peers-secret": ("my.peers", "my.peers", ("My", "a/b", "")),
    "flavour": ("microsoft", "microsoft", ("ms",)),
    "grace-seconds": ("0", 0, ("-1", "3601", "5s")),
    "max-message-bytes": ("1024", 1024, ("1023", "2147483648", "4Mi")),
    "turn-lease-seconds": ("0", 0, ("86401",)),
    "activity-lease-seconds": ("2592000", 2592000, ("2592001",)),
    "env": ("A=1", (Variable("A", "1"),), ("A", "A B=1")),
    "env-from-secret": ("A=s:k", (SecretVariable("A", "s", "k"),), ("A",)),
    "volume-mounts": ("v:/v", (Mount("v", "/v"),), ("v", "v:v")),
    "volume-mounts-rw": ("v:/v", (Mount("v", "/v"),), ("/v:v",)),
    "readiness-probe": ("false", False, ("off",)),
    **{
        f"sidecar-{probe}-probe-{what}": (good, int(good), bad)
        for probe in ("liveness", "readiness", "startup")
        for what, good, bad in (
            ("delay-seconds", "0", ("-1", "3601")),
            ("timeout-seconds", "3600", ("0", "3601")),
            ("period-seconds", "1", ("0",)),
            ("threshold", "1000", ("0", "1001")),
        )
    },
}


def test_every_annotation_has_a_case() -> None:
    assert {f"tenure.dev/{name}" for name in GOOD_AND_BAD} == set(annotation_set.KINDS)


def test_every_annotation_says_what_it_is() -> None:
    for field in msgspec.structs.fields(Options):
        metas = [m for m in field.type.__metadata__ if isinstance(m, msgspec.Meta)]
        assert metas[0].description, field.name
        assert field.default is None


@pytest.mark.parametrize("name", GOOD_AND_BAD)
def test_good_value(name: str) -> None:
    text, value, _ = GOOD_AND_BAD[name]
    parsed = annotation_set.parse({f"tenure.dev/{name}": f" {text} "}, compat=False)
    assert not parsed.problems
    assert not parsed.notes
    expected = text if value is None else value
    assert parsed.options == Options(**{name.replace("-", "_"): expected})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param(name, text, id=f"{name}={text[:12]}")
        for name, (_, _, bad) in GOOD_AND_BAD.items()
        for text in bad
    ],
)
def test_bad_value(name: str, text: str) -> None:
    parsed = annotation_set.parse({f"tenure.dev/{name}": text}, compat=False)
    assert parsed.options == Options(), "a bad value must not become an option"
    (problem,) = parsed.problems
    assert problem.startswith(f"annotation tenure.dev/{name}: '{text[:80]}' will not do: ")
    assert len(problem) < 300


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("http-port", "99999", "it must be <= 65535"),
        ("http-port", "0", "it must be >= 1"),
        ("http-port", "x", "it must be a whole number"),
        ("log-level", "loud", "it must be one of debug, info, warning, error"),
        ("native-sidecar", "maybe", "it must be true or false"),
        (
            "app-id",
            "A",
            "it must be lower-case letters, digits and dashes between them, 63 at most",
        ),
        ("store", "x", "it must be etcd://HOST:PORT or sqlite:PATH"),
        ("env", "A", "'A' is not NAME=value"),
    ],
)
def test_reason_is_for_people(name: str, text: str, reason: str) -> None:
    parsed = annotation_set.parse({f"tenure.dev/{name}": text}, compat=False)
    assert parsed.problems[0].endswith(f"will not do: {reason}")


def test_all_problems_are_told_at_once() -> None:
    given = {"tenure.dev/http-port": "0", "tenure.dev/app-id": "A", "tenure.dev/inject": "true"}
    parsed = annotation_set.parse(given, compat=False)
    assert len(parsed.problems) == 2
    assert parsed.options.inject is True


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("http-prot", "; did you mean tenure.dev/http-port?"),
        ("appid", "; did you mean tenure.dev/app-id?"),
        ("sidecar-cpu-limits", "; did you mean tenure.dev/sidecar-cpu-limit?"),
        ("zzzzzz", ""),
    ],
)
def test_typo_is_named_and_stops_nothing(name: str, meant: str) -> None:
    parsed = annotation_set.parse({f"tenure.dev/{name}": "1"}, compat=False)
    assert not parsed.problems
    assert parsed.notes == (f"annotation tenure.dev/{name} is not known and has no effect{meant}",)


@pytest.mark.parametrize("prefix", ["tenure.dev/", "dapr.io/"])
def test_no_more_typos_are_named_than_somebody_reads(prefix: str) -> None:
    """Looking for the nearest name takes a while, and the pods of others wait for it."""
    given = {f"{prefix}x{number}": "1" for number in range(1000)}
    notes = annotation_set.parse(given, compat=True).notes
    assert len(notes) == annotation_set.MOST_NAMED + 1
    assert notes[0] == f"annotation {prefix}x0 is not known and has no effect"
    rest = 1000 - annotation_set.MOST_NAMED
    assert notes[-1] == f"{rest} more annotations are not known and have no effect"


def test_annotations_of_others_and_our_own_mark_are_not_looked_at() -> None:
    given = {"example.org/x": "?", "dapr.io/enabled": "true", "tenure.dev/injected": "1"}
    assert annotation_set.parse(given, compat=False) == annotation_set.Parsed(Options())
