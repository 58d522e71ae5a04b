"""What must be true of every run, whatever was done to the cluster: I1 to I15, a function each.

Each looks at the evidence (the story that etcd tells, the calls of clients, the executions in apps)
and returns what is wrong, one sentence each.  The first line of its docstring is the invariant.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from support.audit import problems
from support.simulation.clients import OK, UNKNOWN, Call
from support.simulation.linear import linear
from support.simulation.programs import ENOUGH, WORKFLOWS
from support.toy import respond
from support.virtual import EPOCH_NS
from tenure_sidecar.actors.sharing.inboxes import SWEEP
from tenure_sidecar.engine import actions as act
from tenure_sidecar.engine import events as ev
from tenure_sidecar.engine.events import Status
from tenure_sidecar.store.etcd.keys import Keys

if TYPE_CHECKING:
    from support.simulation.app import Effect
    from support.simulation.story import Run, Story, Version

_HEARD = (
    8.0  # seconds after which a wait must have heard of the end, whatever breaks and comes back
)
_TAKEN = (
    SWEEP + 4.5
)  # seconds after which a message must have been taken: by the sweep at the latest
GRACE = 15.0  # seconds after the last fault in which its consequences may still show


@dataclass(frozen=True)
class Evidence:
    """What is known of a run.

    Attributes:
        story: what etcd was made to say until everything had ended.
        times: when each revision was written, virtual seconds.
        calls: of clients.
        outputs: of instances that clients waited for.
        effects: executions of activities.
        acks: execution -> revision at which the app was told that its result is taken.
        processes: prefix of commit ids -> name of the sidecar.
        healed: when the faults were over, virtual seconds.
        faults: how many there were.
        skew: seconds that a wall clock was wrong at most.
        missed: messages that the sweeps of sidecars found.
        deaf: whether watches were made to miss events.
        stuck: clients that were not done in the end.
        kept: sidecars that had something at workers after everything had ended.
        left: keys that were there after everything was purged.
        unexpected: exceptions that nobody handled.
        keys: of the app.
    """

    story: Story
    times: Mapping[int, float]
    calls: Sequence[Call]
    outputs: Mapping[str, str | None]
    effects: Sequence[Effect]
    acks: Mapping[str, int]
    processes: Mapping[str, str]
    healed: float
    faults: int
    skew: float
    missed: int
    deaf: bool
    stuck: Sequence[str]
    kept: Sequence[str]
    left: Sequence[bytes]
    unexpected: Sequence[str]
    keys: Keys

    def during(self, call: Call) -> list[Version | None]:
        """What the instance was between the sending of a call and its answer."""
        before: Version | None = None
        found: list[Version | None] = []
        for one in self.story.heads.get(call.instance_id, ()):
            at = self.times[one.revision]
            if at <= call.sent:
                before = one
            elif at <= call.returned:
                found.append(one)
        return [None if one is None or one.head is None else one for one in (before, *found)]


def check(evidence: Evidence) -> list[str]:
    """Everything that is wrong, with the number of the invariant."""
    return [f"{name}: {one}" for name, rule in RULES.items() for one in rule(evidence)]


# --- I1 -------------------------------------------------------------------------------------------


def acknowledged(evidence: Evidence) -> Iterable[str]:
    """Whatever was acknowledged was in the store when it was."""
    for call in evidence.calls:
        if call.outcome == OK and not _true(evidence, call):
            yield f"{call.verb} of '{call.instance_id}' {call.argument} was acknowledged and is not"
    # Of an activity that ran twice either result will do (a crash may put one in the other's place),
    # and a result that came too late is never stored.
    task = {
        one.serial: (one.instance_id, one.execution_id, one.task_id, one.key)
        for one in evidence.effects
    }
    stored: set[str] = set()
    first: dict[tuple[str, str, int, str], int] = {}
    for run in evidence.story.runs.values():
        for event, revision in zip(run.events, run.at, strict=True):
            if (serial := _serial(event)) is not None:
                stored.add(serial)
                first.setdefault(task[serial], revision)
    for items in evidence.story.items.values():
        for one in items:
            if (serial := _serial(one.item.event)) is not None:
                stored.add(serial)
                here = task[serial]
                first[here] = min(one.revision, first.get(here, one.revision))
    for serial, revision in evidence.acks.items():
        if serial in stored and first[task[serial]] > revision:
            yield f"the result of {serial} was acknowledged before it was stored"


def _key(run: Run, event: ev.Event) -> str:
    """Of the activity whose result the event is: the name of that very scheduling."""
    for one in run.events:
        if isinstance(one, ev.TaskScheduled) and one.event_id == getattr(event, "task_id", None):
            return one.task_execution_id
    return ""


def _serial(event: ev.Event) -> str | None:
    if isinstance(event, ev.TaskCompleted):
        return event.result
    return event.failure.message if isinstance(event, ev.TaskFailed) else None


def _true(evidence: Evidence, call: Call) -> bool:
    during = evidence.during(call)
    heads = [one.head for one in during if one is not None and one.head is not None]
    ended = any(head.status.terminal for head in heads)
    if call.verb == "start":
        return any(one is not None and one.count == 0 for one in during[1:])
    if call.verb == "raise":
        return ended or _stored(evidence, call)
    # What was purged meanwhile may have done as it was told just before.
    gone = None in during[1:]
    if call.verb == "terminate":
        return ended or gone
    if call.verb == "suspend":
        return ended or gone or any(head.suspended for head in heads)
    if call.verb == "resume":
        return ended or gone or any(not head.suspended for head in heads)
    if call.verb == "purge":
        return None in during[1:] if call.value else None in during
    if call.verb == "wait":
        return any([head.status.name, head.output] == [*call.value] for head in heads)
    return True


def _stored(evidence: Evidence, call: Call) -> bool:
    """Whether the event was in the inbox or the history by the time of the answer."""
    story, name = evidence.story, call.instance_id
    raised = [(one.revision, one.item.event) for one in story.items.get(name, ())]
    for key, run in story.runs.items():
        if key[0] == name:
            raised += zip(run.at, run.events, strict=True)
    return any(
        isinstance(event, ev.EventRaised)
        and event.input == call.argument
        and evidence.times[revision] <= call.returned
        for revision, event in raised
    )


# --- I2, I3, I4 -----------------------------------------------------------------------------------


def once(evidence: Evidence) -> Iterable[str]:
    """Each task is scheduled once, and resolved once at most, in its run's history."""
    for run in evidence.story.runs.values():
        for one in problems(run.events):
            yield f"'{run.instance_id}': {one}"


def append_only(evidence: Evidence) -> Iterable[str]:
    """A history grows at its end, turn by turn, from its start on, and nothing in it changes."""
    yield from evidence.story.wrong
    for run in evidence.story.runs.values():
        if not any(isinstance(one, ev.ExecutionStarted) for one in run.events):
            yield f"'{run.instance_id}' has a history that does not begin with a start"
    executions: dict[tuple[str, int, int], set[str]] = defaultdict(set)
    for name, versions in evidence.story.heads.items():
        for one in versions:
            if one.head is not None:
                executions[name, one.life, one.run].add(one.head.execution_id)
    for (name, _, _), ids in executions.items():
        if len(ids) > 1:
            yield f"'{name}' is of {len(ids)} executions at a time"


def one_writer(evidence: Evidence) -> Iterable[str]:
    """Each turn was committed by the process that owned the partition at that revision."""
    for revision, instance_id, partition, process, owner in evidence.story.commits:
        name = evidence.processes.get(process, "?")
        if name != owner:
            yield (
                f"'{instance_id}' was committed at {revision} by {name}, and partition "
                f"{partition} was {owner or 'nobody'}'s"
            )


# --- I5 -------------------------------------------------------------------------------------------


def nothing_stuck(evidence: Evidence) -> Iterable[str]:
    """When the faults are over, everything ends in bounded time, and leaves nothing to do."""
    yield from evidence.stuck
    for call in evidence.calls:
        if call.outcome == UNKNOWN and call.sent > evidence.healed + GRACE and _due(evidence, call):
            yield f"{call.verb} of '{call.instance_id}' at {call.sent:.3f} was not answered"
        if call.verb == "wait" and call.left and not evidence.deaf and _overslept(evidence, call):
            yield f"wait for '{call.instance_id}' at {call.sent:.3f} did not hear of its end"
    for name, items in evidence.story.items.items():
        for one in items:
            since = max(evidence.times[one.revision], evidence.healed)
            until = evidence.times[one.gone] if one.gone else float("inf")
            if until - since > _TAKEN and not _delayed(one.item.event):
                yield f"'{one.item.key}' to '{name}' was not taken in {until - since:.0f} s"
    for name, version in evidence.story.final().items():
        if version.head is not None and not version.head.status.terminal:
            yield f"'{name}' is {version.head.status.name}"


def _delayed(event: ev.Event) -> bool:
    return isinstance(event, ev.ExecutionStarted) and event.scheduled_start is not None


def _overslept(evidence: Evidence, call: Call) -> bool:
    """Whether the instance had ended long before the client stopped waiting for that."""
    told = [
        one
        for one in evidence.story.heads.get(call.instance_id, ())
        if evidence.times[one.revision] <= call.left
    ]
    last = told[-1] if told else None
    if last is None or last.head is None or not last.head.status.terminal:
        return False
    return evidence.times[last.revision] < call.left - _HEARD


def _due(evidence: Evidence, call: Call) -> bool:
    """Whether the answer had to come: a wait takes as long as its workflow."""
    if call.verb != "wait":
        return True
    before = evidence.during(call)[0]
    return before is not None and before.head is not None and before.head.status.terminal


# --- I6 -------------------------------------------------------------------------------------------


def effects_have_causes(evidence: Evidence) -> Iterable[str]:
    """An activity runs only when its scheduling is durable, at least once, and again only after a
    fault; the result in the history is its own."""
    scheduled: dict[str, int] = {}
    completed: list[tuple[str, int, str]] = []
    for run in evidence.story.runs.values():
        for event, revision in zip(run.events, run.at, strict=True):
            if isinstance(event, ev.TaskScheduled):
                key = event.task_execution_id
                scheduled[key] = min(revision, scheduled.get(key, revision))
            elif (serial := _serial(event)) is not None:
                completed.append((serial, revision, _key(run, event)))
    ran = {one.serial: one for one in evidence.effects}
    for serial, revision, key in completed:
        one = ran.get(serial)
        if one is None or one.seen >= revision:
            yield f"the history has the result of {serial}, which was not executed before"
        elif one.key != key:
            yield f"the history of '{one.instance_id}' has the result of {serial} for another task"
    last: dict[str, float] = {}
    again = 0
    for one in evidence.effects:
        if scheduled.get(one.key, one.seen + 1) > one.seen:
            yield f"{one.serial} of '{one.instance_id}' ran before it was durably scheduled"
        again += one.key in last
        if last.get(one.key, 0.0) > evidence.healed + GRACE:
            yield f"{one.serial} of '{one.instance_id}' ran again long after the last fault"
        last[one.key] = one.at
    if again > evidence.faults * 24:
        yield f"{again} executions were repeated in {evidence.faults} faults"


# --- I7 -------------------------------------------------------------------------------------------


def timers(evidence: Evidence) -> Iterable[str]:
    """A timer fires once, never before it is due, and soon after it is."""
    for run in evidence.story.runs.values():
        for event, revision in zip(run.events, run.at, strict=True):
            if not isinstance(event, ev.TimerFired):
                continue
            due = (event.fire_at.nanoseconds - EPOCH_NS) / 1e9
            at = evidence.times[revision]
            if at < due - 2 * evidence.skew:
                yield f"timer of '{run.instance_id}' fired {due - at:.3f} s early"
            late = at - max(due + evidence.skew, evidence.healed)
            if late > GRACE:
                yield f"timer of '{run.instance_id}' fired {late:.0f} s late"


# --- I8 -------------------------------------------------------------------------------------------


def replays(evidence: Evidence) -> Iterable[str]:
    """Replaying a history gives what it has, turn by turn: the code's own answers, and its result."""
    for run in evidence.story.runs.values():
        started = next((one for one in run.events if isinstance(one, ev.ExecutionStarted)), None)
        if started is None:
            continue  # I3 has it
        workflow = WORKFLOWS[started.name]
        for first, end in run.spans():
            if not isinstance(run.events[first], ev.WorkflowStarted):
                continue  # no turn of the code's
            turn, last = run.events[first:end], run.events[end - 1]
            closed = isinstance(last, ev.ExecutionCompleted)
            if closed and not _own_end(run):
                continue
            told = [one for one in turn[: len(turn) - closed] if _created(one) is None]
            made = [n for n in map(_created, turn) if n is not None]
            answer = respond(workflow, run.events[:first], told)
            wanted = [one.task_id for one in answer.actions if not isinstance(one, act.Complete)]
            if made != wanted:
                yield f"a turn of '{run.instance_id}' made {made}, and its code says {wanted}"
            done = answer.actions[-1] if answer.actions else None
            if closed and isinstance(last, ev.ExecutionCompleted):
                result = (last.status, last.result)
                if not isinstance(done, act.Complete) or (done.status, done.result) != result:
                    yield f"'{run.instance_id}' replays to {done}, and ended with {last.result}"
            elif isinstance(done, act.Complete) and done.status is not Status.CONTINUED_AS_NEW:
                yield f"'{run.instance_id}' should have ended with {done.result}"


def _created(event: ev.Event) -> int | None:
    """The number of what a turn's code made, if the event is such."""
    return (
        None if isinstance(event, ev.ExecutionCompleted) or event.event_id < 0 else event.event_id
    )


def _own_end(run: Run) -> bool:
    """Whether the workflow's code ended it."""
    return not any(isinstance(one, ev.ExecutionTerminated) for one in run.events)


# --- I9, I10 --------------------------------------------------------------------------------------


def no_leaks(evidence: Evidence) -> Iterable[str]:
    """After everything is purged nothing is left but who is there and who owns what."""
    kinds = Counter(key[len(evidence.keys.root) :].split(b"/")[0].decode() for key in evidence.left)
    for kind in ("meta", "owners", "members", "writers"):
        kinds.pop(kind, None)
    for kind, count in sorted(kinds.items()):
        yield f"{count} keys of '{kind}' are left"


def the_end_is_final(evidence: Evidence) -> Iterable[str]:
    """What has ended stays as it is, and a parent was told what its child returned."""
    for name, versions in evidence.story.heads.items():
        last: Version | None = None
        for one in versions:
            same = last is not None and (last.life, last.run) == (one.life, one.run)
            if last and last.head and one.head and same and last.head.status.terminal:
                before = (last.head.status, last.head.output)
                if before != (one.head.status, one.head.output):
                    yield f"'{name}' had ended, and changed at {one.revision}"
            last = one
    results: dict[str, set[str | None]] = defaultdict(set)
    for name, versions in evidence.story.heads.items():
        for version in versions:
            if version.head is not None and version.head.status is Status.COMPLETED:
                results[name].add(version.head.output)
    for run in evidence.story.runs.values():
        made = {
            one.task_id: one.instance_id for one in run.events if isinstance(one, ev.ChildCreated)
        }
        for event in run.events:
            if isinstance(event, ev.ChildCompleted):
                child = made.get(event.task_id, "?")
                if event.result not in results[child]:
                    yield f"'{run.instance_id}' was told {event.result} of '{child}'"


# --- I11, I12 -------------------------------------------------------------------------------------


def conserved(evidence: Evidence) -> Iterable[str]:
    """A counter has every acknowledged event once, and none that was not sent or came twice."""
    sent: dict[str, dict[str, str]] = defaultdict(dict)
    for call in evidence.calls:
        if call.verb == "raise":
            sent[call.instance_id][call.argument] = call.outcome
    for name, output in evidence.outputs.items():
        if not name.startswith(("count", "heard")) or output is None:
            continue
        counted = Counter(output.split(",")) if output else Counter[str]()
        for word, times in counted.items():
            if times > 1:
                yield f"'{name}' has {word} {times} times"
            if name.startswith("count") and word not in sent[name]:
                yield f"'{name}' has {word}, which nobody sent"
        for word, outcome in sent[name].items():
            # Where etcd lost what it should have told, events are heard in another order, and one may
            # come behind the one that ends the counting.
            if word != ENOUGH and outcome == OK and not counted[word] and not evidence.deaf:
                yield f"'{name}' lacks {word}, which was acknowledged"


def in_order(evidence: Evidence) -> Iterable[str]:
    """Events are heard in the order of their acknowledgements, at whatever sidecars these were."""
    if evidence.deaf:  # what etcd did not tell comes when a sweep finds it
        return
    sent: dict[str, list[Call]] = defaultdict(list)
    for call in evidence.calls:
        if call.verb == "raise" and call.outcome == OK:
            sent[call.instance_id].append(call)
    for name, output in evidence.outputs.items():
        told = Counter(call.argument for call in sent[name])
        # Of a word that was told twice nobody can say which of them was heard.
        calls = {call.argument: call for call in sent[name] if told[call.argument] == 1}
        heard = [calls[word] for word in (output or "").split(",") if word in calls]
        latest = float("-inf")  # when one that was heard already was sent
        for call in heard:
            if call.returned < latest:
                yield f"'{name}' heard {call.argument} behind one that was sent later"
            latest = max(latest, call.sent)


def linearizable(evidence: Evidence) -> Iterable[str]:
    """What clients were told of one instance can be put into one order."""
    calls: dict[str, list[Call]] = defaultdict(list)
    for call in evidence.calls:
        if call.instance_id.startswith("register"):
            calls[call.instance_id].append(call)
    for name, told in calls.items():
        plain = [one for one in told if one.verb in {"start", "get", "raise", "terminate", "purge"}]
        if linear(plain) is False:
            yield f"the answers about '{name}' contradict each other"


# --- I14 ------------------------------------------------------------------------------------------


def kept_as_long(evidence: Evidence) -> Iterable[str]:
    """What has ended is deleted when its time is over, not before, and soon after."""
    for name, versions in evidence.story.heads.items():
        if not name.startswith("fleeting"):
            continue
        for one, then in pairwise(versions):
            if one.head is None or not one.head.expires_at:
                continue
            due = (one.head.expires_at - EPOCH_NS) / 1e9
            gone = evidence.times[then.revision]
            if then.head is None and gone < due - 2 * evidence.skew:
                yield f"'{name}' was deleted {due - gone:.3f} s early"
            late = gone - max(due + evidence.skew, evidence.healed)
            if late > GRACE:
                yield f"'{name}' was deleted {late:.0f} s late"


# --- I15 ------------------------------------------------------------------------------------------


def given_back(evidence: Evidence) -> Iterable[str]:
    """When all is done nothing is lent, and no slot of a worker is taken."""
    yield from evidence.kept


# --- beyond the list ------------------------------------------------------------------------------


def watches_suffice(evidence: Evidence) -> Iterable[str]:
    """The sweeps find nothing, unless etcd itself lost an event."""
    if evidence.missed and not evidence.deaf:
        yield f"{evidence.missed} messages were missed by watches, and found by a sweep"


def expected(evidence: Evidence) -> Iterable[str]:
    """No exception is left to the event loop."""
    yield from evidence.unexpected


RULES: dict[str, Callable[[Evidence], Iterable[str]]] = {
    "I1": acknowledged,
    "I2": once,
    "I3": append_only,
    "I4": one_writer,
    "I5": nothing_stuck,
    "I6": effects_have_causes,
    "I7": timers,
    "I8": replays,
    "I9": no_leaks,
    "I10": the_end_is_final,
    "I11": conserved,
    "I12": linearizable,
    "I13": in_order,
    "I14": kept_as_long,
    "I15": given_back,
    "sweep": watches_suffice,
    "exceptions": expected,
}
