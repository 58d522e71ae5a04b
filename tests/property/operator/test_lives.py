"""Whole lives of a Workflow: users, outages, crashes and the engine in any order.

The reconcile is the real one.  The world beside it is a few lines: a resource, an engine that knows
runs by id and starts by key, calls that fail before or after they had their effect.

Whatever happens on the way, in the end:

* the resource started one run at most, and no call ever touched a run of somebody else; also when its
  status was lost, and the run was deleted from the engine after its end had been written;
* when nothing fails any more, things come to rest, with the status that the run has;
* a resource that was deleted is gone, and its run is as its policy says.
"""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.values import CREATED, NOW, run, workflow
from tenure_common.times import NANOS
from tenure_operator.instance import Instance
from tenure_operator.reconcile.ended import recorded
from tenure_operator.reconcile.mirror import PHASES
from tenure_operator.reconcile.refusals import Refusal, refusal, unanswered
from tenure_operator.reconcile.steps import Delete, Look, Rest, SetFinalizers, Start, Steer
from tenure_operator.reconcile.workflow import Seen, next_step, request_key
from tenure_operator.resources import ANNOTATION_ENDED, Workflow, WorkflowStatus

STEPS = 8  # of one look at the resource
LONG = 40  # looks after which all must be quiet


class World:
    """One resource and what is beyond it."""

    def __init__(self, policy: str, *, taken: bool) -> None:
        self.resource: Workflow | None = workflow(held=False, deletionPolicy=policy)
        self.instances: dict[str, Instance] = {}
        self.starts = 0
        self.now = NOW
        self.policy = policy
        self.id = self.resource.instance_id
        self.theirs = taken
        if taken:
            self.instances[self.id] = run(self.resource, ours=False)

    # --- what users and the engine do ---------------------------------------------------------

    def spec(self, **change: Any) -> None:
        if self.resource is not None:
            spec = msgspec.structs.replace(self.resource.spec, **change)
            meta = self.resource.metadata
            meta = msgspec.structs.replace(meta, generation=meta.generation + 1)
            self.resource = msgspec.structs.replace(self.resource, spec=spec, metadata=meta)

    def delete(self) -> None:
        if self.resource is None or self.resource.metadata.deleted:
            return
        meta = msgspec.structs.replace(self.resource.metadata, deletion_timestamp=CREATED)
        self.resource = msgspec.structs.replace(self.resource, metadata=meta)
        self._collect()

    def goes(self, status: str) -> None:
        """The run of the resource goes on, if there is one that has not ended."""
        found = self.instances.get(self.id)
        if found is not None and not found.ended and not self.theirs:
            self._set(found, status)

    def wipe(self) -> None:
        """Somebody empties the status."""
        if self.resource is not None:
            self.resource = msgspec.structs.replace(self.resource, status=WorkflowStatus())

    def expire(self) -> None:
        """The engine deletes a run that has ended, once the resource has it on record."""
        if self.resource is not None and recorded(self.resource) is not None and not self.theirs:
            self.instances.pop(self.id, None)

    def _set(self, found: Instance, status: str) -> None:
        ended = status not in {"PENDING", "RUNNING", "SUSPENDED"}
        at = "2026-01-01T00:00:09.000000000Z" if ended else None
        self.instances[self.id] = msgspec.structs.replace(found, status=status, completed_at=at)

    # --- the operator -------------------------------------------------------------------------

    def look(self, fault: str | None = None, at: int = 0) -> bool:
        """One look at the resource; whether anything is different then.

        ``fault`` strikes call number ``at``: it fails ``before`` or ``after`` it had its effect, or
        the operator dies (``crash``) instead.
        """
        before, known = self.resource, dict(self.instances)
        seen = Seen()
        for call in range(STEPS):
            if self.resource is None:
                break
            step = next_step(self.resource, seen, now=self.now)
            strikes = fault if call == at else None
            if strikes == "crash":
                break
            match step:
                case Rest(status):
                    self._write(status)
                    break
                case SetFinalizers(finalizers, ended=ended):
                    meta = msgspec.structs.replace(self.resource.metadata, finalizers=finalizers)
                    if ended is not None:
                        kept = {ANNOTATION_ENDED: ended}
                        meta = msgspec.structs.replace(meta, annotations=kept)
                    self.resource = msgspec.structs.replace(self.resource, metadata=meta)
                    self._collect()
                case Delete():
                    self.delete()
                    break
                case _:
                    seen = self._call(step, seen, strikes)
        else:
            raise AssertionError(f"no rest after {STEPS} steps")
        return self.resource != before or self.instances != known

    def _call(self, step: Look | Start | Steer | Any, seen: Seen, fault: str | None) -> Seen:
        away = unanswered("no answer")
        if fault == "before":
            return seen._replace(refusal=away)
        answer = self._engine(step)
        if fault == "after":
            return seen._replace(refusal=away)
        if isinstance(answer, Refusal):
            return seen._replace(refusal=answer)
        asked = frozenset((*seen.asked, step.verb)) if isinstance(step, Steer) else seen.asked
        return Seen(known=True, instance=answer, asked=asked)

    def _engine(self, step: Look | Start | Steer | Any) -> Instance | Refusal | None:
        found = self.instances.get(self.id)
        if isinstance(step, Look):
            return found
        if isinstance(step, Start):
            assert self.resource is not None
            assert step.request_key == request_key(self.resource)
            assert step.instance_id == self.id
            if found is None:
                self.starts += 1
                found = run(self.resource, "PENDING")
                self.instances[self.id] = found
            elif self.theirs:
                return refusal("TN0102", 409, "in use")
            return msgspec.structs.replace(found, payloads=False)
        assert not self.theirs, f"{step} for somebody else's run"
        if found is None:
            return refusal("TN0101", 404, "no such run")
        if step.verb == "purge":
            assert found.ended, "a run is purged after its end"
            del self.instances[self.id]
            return None
        if found.ended:
            return found if step.verb == "terminate" else refusal("TN0701", 409, "has ended")
        to = {"suspend": "SUSPENDED", "resume": "RUNNING", "terminate": "TERMINATED"}
        self._set(found, to[step.verb])
        return self.instances[self.id]

    def _write(self, status: object) -> None:
        if self.resource is not None and isinstance(status, WorkflowStatus):
            self.resource = msgspec.structs.replace(self.resource, status=status)

    def _collect(self) -> None:
        meta = self.resource.metadata if self.resource is not None else None
        if meta is not None and meta.deleted and not meta.finalizers:
            self.resource = None


def acts() -> st.SearchStrategy[tuple[str, Any]]:
    faults = st.tuples(st.sampled_from(["before", "after", "crash"]), st.integers(0, 4))
    return st.one_of(
        st.tuples(st.just("look"), st.none() | faults),
        st.tuples(st.just("look"), st.none()),
        st.tuples(
            st.just("goes"), st.sampled_from(["RUNNING", "COMPLETED", "FAILED", "SUSPENDED"])
        ),
        st.tuples(st.just("suspend"), st.sampled_from([True, False, None])),
        st.tuples(st.just("terminate"), st.just(True)),
        st.tuples(st.just("delete"), st.none()),
        st.tuples(st.sampled_from(["wipe", "expire"]), st.none()),
    )


def act(world: World, what: str, value: Any) -> None:
    if what == "look":
        world.look(*(value or ()))
    elif what == "goes":
        world.goes(value)
    elif what in {"delete", "wipe", "expire"}:
        getattr(world, what)()
    else:
        world.spec(**{what: value})


def calm(world: World) -> None:
    """Nothing fails any more: things come to rest."""
    for _ in range(LONG):
        world.now += NANOS
        if not world.look():
            return
    raise AssertionError("it does not come to rest")


LOST = [
    ("look", None),
    ("goes", "COMPLETED"),
    *3 * [("look", None)],
    ("expire", None),
    ("wipe", None),
]


@settings(max_examples=400, deadline=None)
@example(policy="Terminate", taken=False, life=LOST)
@example(policy="Purge", taken=False, life=LOST)
@example(policy="Orphan", taken=False, life=LOST)
@given(
    policy=st.sampled_from(["Terminate", "Purge", "Orphan"]),
    taken=st.booleans(),
    life=st.lists(acts(), max_size=25),
)
def test_any_life_comes_to_a_good_end(
    policy: str, taken: bool, life: list[tuple[str, Any]]
) -> None:
    world = World(policy, taken=taken)
    for what, value in life:
        act(world, what, value)
    calm(world)
    assert world.starts <= 1
    found = world.instances.get(world.id)
    if taken:
        assert found is not None
        assert found.status == "RUNNING", "somebody else's run is as it was"
    resource = world.resource
    if any(what == "delete" for what, _ in life):
        assert resource is None
        if not taken and policy == "Purge":
            assert found is None
        if not taken and policy == "Terminate" and found is not None:
            assert found.ended
    elif resource is not None and not taken and found is not None:
        assert resource.status.phase == PHASES[found.status]
