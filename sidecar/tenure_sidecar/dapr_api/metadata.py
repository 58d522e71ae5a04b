"""The sidecar's description of itself, and what the app adds to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tenure_common.version import VERSION
from tenure_sidecar.dapr_api.errors import Code, DaprError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ATTRIBUTES: Final = 64
MAX_LENGTH: Final = 1024  # characters, of key and value each


class Attributes:
    """Keys and values that the app sets; they live as long as the process."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def set(self, key: str, value: str) -> None:
        """Set one.  Raises: DaprError when it is too long, or one too many."""
        if max(len(key), len(value)) > MAX_LENGTH:
            message = f"a metadata key or value has at most {MAX_LENGTH} characters"
            raise DaprError(Code.ERR_METADATA_TOO_LONG, message)
        if key not in self._values and len(self._values) >= MAX_ATTRIBUTES:
            message = f"there are {MAX_ATTRIBUTES} metadata keys already"
            raise DaprError(Code.ERR_METADATA_TOO_MANY, message)
        self._values[key] = value

    def extended(self) -> Mapping[str, str]:
        """The metadata's ``extended``: what runs here, and what was set."""
        return {"runtime": "tenure", "tenureVersion": VERSION, **self._values}
