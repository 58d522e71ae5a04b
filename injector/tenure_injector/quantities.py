"""Kubernetes' resource quantities (``250m``, ``64Mi``, ``1e3``), as exact numbers."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

_FORM: Final = re.compile(
    r"(\d{1,15}(?:\.\d{0,9})?|\.\d{1,9})([A-Za-z]{0,2})(?:[eE]([+-]?\d))?", re.ASCII
)
_SCALES: Final = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
}


@lru_cache(maxsize=1024)  # the same few in every pod
def parse(text: str) -> Decimal:
    """The quantity's number.  Raises: ValueError, saying how one is written."""
    match = _FORM.fullmatch(text)
    if match is not None:
        number, unit, exponent = match.groups()
        if unit in _SCALES and not (unit and exponent):
            return Decimal(number) * _SCALES[unit] * Decimal(10) ** int(exponent or 0)
    message = "it must be a quantity such as 250m, 1.5 or 64Mi"
    raise ValueError(message)


def checked(text: str) -> str:
    """``text`` itself, when it is a quantity above nothing.  Raises: ValueError."""
    if parse(text) <= 0:
        message = "it must be more than nothing"
        raise ValueError(message)
    return text
