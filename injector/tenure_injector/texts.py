"""The annotations whose value is a list: variables, variables from Secrets, mounts.

Each parser takes the annotation's text and raises ValueError with what is wrong with it, without
the annotation's name: the caller knows that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

MOST: Final = 64  # entries in one annotation
RESERVED: Final = frozenset(
    {"TENURE_NAMESPACE", "TENURE_POD_IP", "TENURE_POD_NAME", "TENURE_POD_UID"}
)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,252}")
_OBJECT: Final = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_KEY: Final = re.compile(r"[-._A-Za-z0-9]{1,253}")
_VOLUME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Variable(msgspec.Struct, frozen=True):
    """A variable and its value."""

    name: str
    value: str


class SecretVariable(msgspec.Struct, frozen=True):
    """A variable whose value is a key of a Secret."""

    name: str
    secret: str
    key: str


class Mount(msgspec.Struct, frozen=True):
    """A volume of the pod and where it appears in the engine's container."""

    volume: str
    path: str


def variables(text: str) -> tuple[Variable, ...]:
    """``A=1,B=2``; a value holds no comma.  Raises: ValueError."""
    found: list[Variable] = []
    for entry in _entries(text):
        name, equals, value = entry.partition("=")
        if not equals:
            message = f"'{entry}' is not NAME=value"
            raise ValueError(message)
        found.append(Variable(_name(name.strip()), value.strip()))
    _unique([one.name for one in found])
    return tuple(found)


def secrets(text: str) -> tuple[SecretVariable, ...]:
    """``NAME=secret:key``, the key being the Secret's name when left out.  Raises: ValueError."""
    found: list[SecretVariable] = []
    for entry in _entries(text):
        name, equals, source = entry.partition("=")
        secret, colon, key = (part.strip() for part in source.partition(":"))
        key = key if colon else secret
        if not (equals and _OBJECT.fullmatch(secret) and _KEY.fullmatch(key)):
            message = f"'{entry}' is not NAME=secret:key"
            raise ValueError(message)
        found.append(SecretVariable(_name(name.strip()), secret, key))
    _unique([one.name for one in found])
    return tuple(found)


def mounts(text: str) -> tuple[Mount, ...]:
    """``volume:/path,other:/path``.  Raises: ValueError."""
    found: list[Mount] = []
    for entry in _entries(text):
        volume, _, path = (part.strip() for part in entry.partition(":"))
        if not _VOLUME.fullmatch(volume) or not path.startswith("/") or ":" in path:
            message = f"'{entry}' is not volume:/path"
            raise ValueError(message)
        if ".." in path.split("/"):
            message = f"'{entry}' has '..' in its path"
            raise ValueError(message)
        found.append(Mount(volume, path))
    _unique([one.path for one in found])
    return tuple(found)


def _entries(text: str) -> Iterator[str]:
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if len(entries) > MOST:
        message = f"it has {len(entries)} entries, of at most {MOST}"
        raise ValueError(message)
    yield from entries


def _name(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        message = f"'{text}' is not the name of a variable"
        raise ValueError(message)
    if text in RESERVED:
        message = f"{text} is set by the injector itself"
        raise ValueError(message)
    return text


def _unique(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"it names {', '.join(twice)} twice"
        raise ValueError(message)
