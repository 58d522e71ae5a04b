"""Resource quantities, against values that Kubernetes documents."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tenure_injector import quantities


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", "1"),
        ("0", "0"),
        ("100m", "0.1"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("2.", "2"),
        ("1k", "1000"),
        ("1Ki", "1024"),
        ("64Mi", "67108864"),
        ("128974848", "128974848"),
        ("129e6", "129000000"),
        ("1E3", "1000"),
        ("5e-1", "0.5"),
        ("1G", "1000000000"),
        ("1Gi", "1073741824"),
        ("2Ti", "2199023255552"),
    ],
)
def test_quantity(text: str, value: str) -> None:
    assert quantities.parse(text) == Decimal(value)
    if Decimal(value):
        assert quantities.checked(text) == text


@pytest.mark.parametrize(
    "text", ["", "m", "1 Mi", "-1", "+1", "1mi", "1KI", "1MiB", "0x10", "1e99", "١", "1Mie2", "."]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="it must be a quantity such as"):
        quantities.parse(text)


@pytest.mark.parametrize("text", ["0", "0m", "0.0Gi"])
def test_nothing_is_not_enough(text: str) -> None:
    with pytest.raises(ValueError, match="more than nothing"):
        quantities.checked(text)
