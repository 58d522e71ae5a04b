"""The state table of an instance, as data.

Every turn is checked against it (``check``), and the diagram in docs/concepts/state-machine.md is
drawn from it (``page``), so neither can drift from what the engine does.  Re-use of an id,
restart and purge are not here: they end an instance and begin another one under the same id.
"""

from __future__ import annotations

from typing import NamedTuple

from tenure_common.errors import IllegalTransitionError
from tenure_sidecar.engine.events import Status

_P, _R, _SU, _ST = Status.PENDING, Status.RUNNING, Status.SUSPENDED, Status.STALLED
_C, _F, _T = Status.COMPLETED, Status.FAILED, Status.TERMINATED


class Transition(NamedTuple):
    """One arrow: from, to, and what causes it."""

    source: Status
    target: Status
    cause: str


TABLE: tuple[Transition, ...] = (
    Transition(_P, _R, "first turn"),
    Transition(_P, _C, "completes in its first turn"),
    Transition(_P, _F, "fails in its first turn"),
    Transition(_P, _ST, "first turn cannot run"),
    Transition(_P, _SU, "suspend"),
    Transition(_P, _T, "terminate"),
    Transition(_R, _R, "turn, continue as new"),
    Transition(_R, _SU, "suspend"),
    Transition(_R, _ST, "turn cannot run"),
    Transition(_R, _C, "complete"),
    Transition(_R, _F, "fail"),
    Transition(_R, _T, "terminate"),
    Transition(_SU, _R, "resume"),
    Transition(_SU, _P, "resume before the first turn"),
    Transition(_SU, _T, "terminate"),
    Transition(_ST, _ST, "turn cannot run, for another reason"),
    Transition(_ST, _R, "turn runs"),
    Transition(_ST, _C, "complete"),
    Transition(_ST, _F, "fail"),
    Transition(_ST, _SU, "suspend"),
    Transition(_ST, _T, "terminate"),
    Transition(_F, _R, "rewind"),
)

_LEGAL = frozenset((t.source, t.target) for t in TABLE)


def check(source: Status, target: Status, *, instance_id: str) -> None:
    """Raises: IllegalTransitionError when no arrow leads from ``source`` to ``target``.  Staying
    where one is (a turn that only drops messages) is always legal."""
    if source is not target and (source, target) not in _LEGAL:
        message = f"'{instance_id}' is {source.name} and cannot become {target.name}"
        raise IllegalTransitionError(message)


def diagram() -> str:
    """The table as a Mermaid state diagram; text of the block, without the fence."""
    lines = ["stateDiagram-v2", "    [*] --> PENDING: start"]
    lines += [f"    {t.source.name} --> {t.target.name}: {t.cause}" for t in TABLE]
    lines += [f"    {s.name} --> [*]: purge" for s in (_C, _F, _T)]
    return "\n".join(lines)


def page(text: str) -> str:
    """The page ``text`` with its first Mermaid block replaced by the table's diagram.

    Raises: ValueError when there is no such block.
    """
    opening, closing = "```mermaid\n", "\n```"
    before, found, rest = text.partition(opening)
    _, ended, after = rest.partition(closing)
    if not found or not ended:
        message = "the page has no mermaid block"
        raise ValueError(message)
    return before + opening + diagram() + closing + after
