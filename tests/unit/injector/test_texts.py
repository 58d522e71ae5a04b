"""Annotations that are lists.  Out of scope: which annotations use them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tenure_injector import texts
from tenure_injector.texts import Mount, SecretVariable, Variable


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", (), id="empty"),
        pytest.param("A=1", (Variable("A", "1"),), id="one"),
        pytest.param(" A = 1 , B=x=y ,", (Variable("A", "1"), Variable("B", "x=y")), id="two"),
        pytest.param("A=", (Variable("A", ""),), id="empty-value"),
    ],
)
def test_variables(text: str, found: tuple[Variable, ...]) -> None:
    assert texts.variables(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("A=s:k", (SecretVariable("A", "s", "k"),), id="key"),
        pytest.param("A=s", (SecretVariable("A", "s", "s"),), id="no-key"),
        pytest.param("A=s:tls.key", (SecretVariable("A", "s", "tls.key"),), id="dotted"),
    ],
)
def test_secrets(text: str, found: tuple[SecretVariable, ...]) -> None:
    assert texts.secrets(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("data:/data", (Mount("data", "/data"),), id="one"),
        pytest.param("a:/a, b:/b/c", (Mount("a", "/a"), Mount("b", "/b/c")), id="two"),
    ],
)
def test_mounts(text: str, found: tuple[Mount, ...]) -> None:
    assert texts.mounts(text) == found


@pytest.mark.parametrize(
    ("parse", "text", "reason"),
    [
        pytest.param(texts.variables, "A", "'A' is not NAME=value", id="no-value"),
        pytest.param(texts.variables, "1A=x", "'1A' is not the name of a variable", id="digit"),
        pytest.param(texts.variables, "A B=x", "not the name of a variable", id="blank"),
        pytest.param(texts.variables, "=x", "'' is not the name of a variable", id="no-name"),
        pytest.param(texts.variables, "A=1,A=2", "it names A twice", id="twice"),
        pytest.param(
            texts.variables, "TENURE_POD_UID=x", "set by the injector itself", id="identity"
        ),
        pytest.param(
            texts.variables, ",".join(f"A{n}=1" for n in range(65)), "65 entries", id="many"
        ),
        pytest.param(texts.secrets, "A=S_", "is not NAME=secret:key", id="secret-name"),
        pytest.param(texts.secrets, "A=s:", "is not NAME=secret:key", id="empty-key"),
        pytest.param(texts.secrets, "A=s:k:x", "is not NAME=secret:key", id="colons"),
        pytest.param(texts.secrets, "A", "is not NAME=secret:key", id="no-source"),
        pytest.param(
            texts.secrets, "TENURE_NAMESPACE=s", "set by the injector itself", id="identity-secret"
        ),
        pytest.param(texts.mounts, "data", "is not volume:/path", id="no-path"),
        pytest.param(texts.mounts, "data:rel", "is not volume:/path", id="relative"),
        pytest.param(texts.mounts, "Data:/d", "is not volume:/path", id="volume-name"),
        pytest.param(texts.mounts, "d:/a:ro", "is not volume:/path", id="docker-form"),
        pytest.param(texts.mounts, "d:/a/../b", "'..' in its path", id="upwards"),
        pytest.param(texts.mounts, "d:/a,e:/a", "it names /a twice", id="one-path"),
    ],
)
def test_refused(parse: Callable[[str], object], text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert reason in str(caught.value)
