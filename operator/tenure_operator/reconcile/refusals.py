"""From an error of the gateway to what a user reads on the resource.

A refusal is *transient* when the same request may work later by itself; the others wait for somebody
to change something, and are tried again rarely.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tenure_common.errors import GatewayUnavailableError
from tenure_common.times import NANOS
from tenure_operator.reconcile.backoff import backoff

_TAKEN: Final = "InstanceIDInUse"
# Code of the error -> one word for status.reason, as users search for it.
REASONS: Final = {
    "TN0004": "BadRequest",
    "TN0101": "NoSuchInstance",
    "TN0102": _TAKEN,
    "TN0103": "NotFinished",
    "TN0109": "NoSuchApp",
    "TN0111": _TAKEN,
    "TN0200": "TooLarge",
    "TN0201": "TooLarge",
    "TN0202": "TooManyRequests",
    "TN0404": "StoreFull",
    "TN0701": "AlreadyFinished",
    "TN0713": "NotPermitted",
    "TN0804": "GatewayUnavailable",
    "TN0805": "GatewayRefused",
}
_STORE: Final = ("TN04", "TN06")
_UNKNOWN_OR_NOT_ALLOWED: Final = (401, 403)  # the operator, not the request: for others to mend
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500


class Refusal(NamedTuple):
    """Why a call did not work."""

    code: str
    reason: str
    message: str
    transient: bool
    seconds: float = 0.0  # after which the gateway wants to be asked again, at least

    @property
    def taken(self) -> bool:
        """Whether the id belongs to another run."""
        return self.reason == _TAKEN

    @property
    def unanswered(self) -> bool:
        """Whether there was no gateway to refuse it."""
        return self.code == GatewayUnavailableError.code


def refusal(code: str, status: int, message: str, *, seconds: float = 0.0) -> Refusal:
    """The refusal of an answer with that code and HTTP status, and the pause that it asks for."""
    default = "StoreUnavailable" if code.startswith(_STORE) else "Refused"
    transient = status >= _SERVER_ERROR or status in {_TOO_MANY, *_UNKNOWN_OR_NOT_ALLOWED}
    return Refusal(code, REASONS.get(code, default), f"{message} ({code})", transient, seconds)


def unanswered(message: str, *, seconds: float = 0.0) -> Refusal:
    """The refusal of a call that got no answer."""
    away = GatewayUnavailableError
    return refusal(away.code, away.http, message, seconds=seconds)


def retry_in(refused: Refusal, attempts: int, *, seed: str) -> int:
    """Nanoseconds until the next attempt: those of the back-off, or more when the gateway wishes it.

    Args:
        refused: why the last one did not work.
        attempts: how many rounds in a row ended in a refusal before this one.
        seed: as for ``backoff``.
    """
    return max(backoff(attempts + 1, seed=seed), int(refused.seconds * NANOS))
