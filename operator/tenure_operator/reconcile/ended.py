"""That a run has ended, kept on its resource but outside of its status.  Pure.

A status can be lost while the resource stays: somebody empties it, and backup tools leave it out.  The
engine may have deleted the run by then, so nothing would keep the resource from starting it again.
Therefore the last write of a life, which takes the finalizer away, also writes an annotation.

It says whose end it is.  A copy under another name or in another namespace is a resource that has not
run yet, whatever annotations were copied with it.  The same name with another uid is what a backup
brings back: that has run.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from tenure_common.errors import BadRequestError
from tenure_common.times import parse_time
from tenure_operator.resources import ANNOTATION_ENDED, Phase, Workflow

MAX_ANNOTATIONS: Final = 256 * 1024  # bytes of all of them; the API server takes no more

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Final = Literal["Completed", "Failed", "Terminated", "Canceled", "Missing"]
FINAL: Final[dict[Phase, _Final]] = {
    "Completed": "Completed",
    "Failed": "Failed",
    "Terminated": "Terminated",
    "Canceled": "Canceled",
    "Missing": "Missing",
}


class Ended(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose run ended, how and when; ``instance_id`` None: it was never started."""

    namespace: _Text
    name: _Text
    uid: _Text
    phase: _Final
    instance_id: _Text | None = msgspec.field(default=None, name="instanceID")
    at: str | None = None


def recorded(workflow: Workflow) -> Ended | None:
    """What its annotation says of the end of this Workflow, or of the one that it was before a
    backup; None when it has not ended."""
    text = workflow.metadata.annotations.get(ANNOTATION_ENDED)
    if text is None:
        return None
    try:
        found = msgspec.json.decode(text, type=Ended)
        if found.at is not None:
            parse_time(found.at)
    except (msgspec.DecodeError, BadRequestError):
        return None
    meta = workflow.metadata
    return found if (found.namespace, found.name) == (meta.namespace, meta.name) else None


def record(workflow: Workflow) -> str | None:
    """What the annotation of a Workflow that has ended is to say; None when it says it already, or
    when there is no room for it."""
    meta, status = workflow.metadata, workflow.status
    phase = None if status.phase is None else FINAL.get(status.phase)
    if phase is None or recorded(workflow) is not None:
        return None
    ended = Ended(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        phase=phase,
        instance_id=status.instance_id,
        at=status.completion_time,
    )
    text = msgspec.json.encode(ended).decode()
    others = (one for one in meta.annotations.items() if one[0] != ANNOTATION_ENDED)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in others)
    return text if size + len(ANNOTATION_ENDED) + len(text.encode()) <= MAX_ANNOTATIONS else None
