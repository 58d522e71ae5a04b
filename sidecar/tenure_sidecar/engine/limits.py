"""The limits that the engine itself enforces.  Sizes of messages are the transport's and the
dispatcher's business; they come back here only as a stall (``stall.py``)."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """See the fields; the defaults are generous and exist to bound memory."""

    max_batch_events: int = 10_000  # new events in one turn; the start always fits
    max_id_length: int = 512  # characters of an instance id that a client chooses
    max_name_length: int = 512  # characters of a workflow or event name
