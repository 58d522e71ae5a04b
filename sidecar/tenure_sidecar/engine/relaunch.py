"""Start again what a given history leaves open: its activities, timers and children.

Used where a history does not grow turn by turn but is put there as a whole (rerun, rewind).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure_sidecar.engine.draft import reminder
from tenure_sidecar.engine.events import ExecutionRewound
from tenure_sidecar.engine.kinds import child
from tenure_sidecar.engine.turn import InboxItem

if TYPE_CHECKING:
    from tenure_sidecar.engine.draft import Draft
    from tenure_sidecar.engine.state import State


def relaunch(draft: Draft, opened: State, *, generation: int, rewound: bool = False) -> int:
    """Add everything that ``opened`` (the fold of the new history) waits for to ``draft``.

    Args:
        generation: of the reminders.
        rewound: children that exist and have failed are rewound too, not only created.

    Returns the number of pending activities.
    """
    head = draft.head
    draft.activities += opened.tasks.values()
    for timer in opened.timers.values():
        armed = reminder(timer, instance_id=head.instance_id, generation=generation)
        if armed is not None:
            draft.timers_set.append(armed)
    for event in opened.children.values():
        item = None
        if rewound:
            item = InboxItem(
                f"rewind-{head.execution_id}-{event.task_id}-{generation}",
                ExecutionRewound(draft.at, parent_execution_id=head.execution_id),
            )
        child.launch(draft, event, rewind=item)
    return len(opened.tasks)
