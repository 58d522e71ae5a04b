"""What may be set for a whole app while it runs.  Pure.

The settings are one small document in the app's store, so every sidecar and gateway of the app has
the same ones.  What they leave out is as the process's own flags say: a flag is the default.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from tenure_common.errors import BadRequestError, StoreCorruptError
from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.retention import Retention, parse_retention

KEY: Final = "settings"  # of the document
MOST: Final = 1_000_000  # that a limit may be

Limit = Annotated[int, msgspec.Meta(ge=1, le=MOST)]


class KeptFor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How long instances are kept after their end, by status: `7d`, `0s`, `forever`.

    `any` is for those whose status has no time of its own.  What is absent is as the flags of the
    sidecars say; with `any`, none of their flags counts.
    """

    any: str | None = None
    completed: str | None = None
    failed: str | None = None
    terminated: str | None = None


class Concurrency(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much the workers of one sidecar may work on at a time, however many connections they have.

    A workflow counts while its code runs, not while it waits for an activity, a timer or an event.
    What is absent is as the workers themselves say, which holds in any case.
    """

    workflows: Limit | None = None
    activities: Limit | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings of an app; one with nothing set is as none."""

    retention: KeptFor = KeptFor()
    concurrency: Concurrency = Concurrency()

    def kept(self, default: Retention) -> Retention:
        """How long finished instances are kept; ``default`` is what the flags say.

        Raises: BadRequestError, with the field, when a time cannot be read.
        """
        given = self.retention
        own = {
            Status.COMPLETED: ("completed", given.completed),
            Status.FAILED: ("failed", given.failed),
            Status.TERMINATED: ("terminated", given.terminated),
        }
        base = default if given.any is None else Retention(any=_time("any", given.any))
        return Retention(
            any=base.any,
            by_status=base.by_status
            | {
                status: _time(name, text)
                for status, (name, text) in own.items()
                if text is not None
            },
        )


def encode(settings: Settings) -> bytes:
    """The stored form."""
    return msgspec.json.encode(settings)


def decode(body: bytes) -> Settings:
    """The settings in a document; what a later version added is passed over.

    Raises: StoreCorruptError.
    """
    try:
        settings = _decoder.decode(body)
        settings.kept(Retention())
    except (msgspec.DecodeError, BadRequestError) as error:
        message = f"document '{KEY}' holds no settings of an app: {error}"
        raise StoreCorruptError(message) from error
    return settings


def _time(name: str, text: str) -> int | None:
    try:
        return parse_retention(text)
    except BadRequestError as error:
        field = f"retention.{name}"
        message = f"{field}: {error.message}, or 'forever'"
        raise BadRequestError(message, {"field": field}) from error


_decoder = msgspec.json.Decoder(Settings)
