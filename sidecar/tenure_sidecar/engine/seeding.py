"""The first turn of an instance that begins with a history (``rerun.py`` makes it).

It needs no worker: the history becomes the instance's own, and what it leaves open is started.  The
code is replayed over it when the first result comes in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_sidecar.engine.draft import Draft
from tenure_sidecar.engine.events import Status, WorkflowStarted
from tenure_sidecar.engine.relaunch import relaunch
from tenure_sidecar.engine.state import State

if TYPE_CHECKING:
    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.engine.turn import InboxItem, Turn


def seed(state: State, item: InboxItem, *, now: int, ids: Ids) -> Turn:
    """Turn the seed of the start ``item`` into the instance's history."""
    # The copied times may be ahead of this clock: time goes on from where the source had it.
    draft = Draft(state, now=max(now, item.seed[-1].at), ids=ids)
    draft.events += item.seed
    pending = relaunch(draft, State.fold(state.head, item.seed), generation=state.head.generation)
    code = None
    for event in item.seed:
        if isinstance(event, WorkflowStarted) and event.version is not None:
            code = event.version
    return draft.turn(
        consumed=(item.key,),
        status=Status.RUNNING,
        started_at=draft.at,
        pending=pending,
        code=code,
    )
