"""The record of a bulk job: narrowing, progress, its stored form.  Pure.

Out of scope: the worker (test_manage_bulk.py, tests/sim/test_jobs.py).
"""

from __future__ import annotations

import msgspec
import pytest

from tenure_common.errors import StoreCorruptError
from tenure_sidecar.actors.job import (
    CANCELED,
    COMPLETED,
    MAX_ERRORS,
    RUNNING,
    Action,
    Fault,
    Job,
    Page,
    advanced,
    canceled,
    child_id,
    decode,
    encode,
    narrowed,
)
from tenure_sidecar.engine.events import Status
from tenure_sidecar.store.port import Order, Query

JOB = Job(id="j", action=Action("terminate"), query=Query(), created_at=1, updated_at=1, matched=9)
EMPTY = Page(done=0, skipped=0, faults=(), cursor=None)
VERBS = ("suspend", "resume", "terminate", "purge", "restart", "rewind", "raise")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("status", sorted(Status))
def test_a_verb_is_for_instances_that_it_can_change(verb: str, status: Status) -> None:
    for_ended = {"purge": True, "restart": True, "rewind": status is Status.FAILED}
    wanted = narrowed(Query(statuses=frozenset({status})), Action(verb))
    if status.terminal:
        assert (wanted is not None) is for_ended.get(verb, False)
    else:
        able = verb not in for_ended
        if verb == "resume":
            able = status in {Status.SUSPENDED, Status.STALLED}
        if verb == "suspend":
            able = status is not Status.SUSPENDED
        assert (wanted is not None) is able


def test_narrowing_keeps_the_rest_of_the_filter() -> None:
    query = Query(name="w", id_prefix="p", tags={"a": "b"}, created_to=5)
    wanted = narrowed(query, Action("purge"))
    assert wanted is not None
    assert msgspec.structs.replace(wanted, statuses=frozenset()) == query
    assert all(status.terminal for status in wanted.statuses)


def test_force_and_new_ids_take_any_status() -> None:
    assert Action("purge", force=True).statuses == frozenset(Status)
    assert Action("restart", new_id=True).statuses == frozenset(Status)


def test_progress_adds_up_until_the_end() -> None:
    fault = Fault("i", "TN0004", "no")
    job = msgspec.structs.replace(JOB, matched=7)
    one = advanced(job, Page(done=2, skipped=1, faults=(fault,), cursor="c"), now=5)
    assert (one.done, one.skipped, one.failed, one.state) == (2, 1, 1, RUNNING)
    assert (one.cursor, one.updated_at, one.finished_at) == ("c", 5, 0)
    two = advanced(one, Page(done=3, skipped=0, faults=(), cursor=None), now=8)
    assert (two.done, two.skipped, two.failed, two.state) == (5, 1, 1, COMPLETED)
    assert (two.finished_at, two.errors) == (8, (fault,))


@pytest.mark.parametrize(("done", "skipped"), [(4, 3), (7, 0), (9, 0)])
def test_what_is_not_found_any_more_is_skipped(done: int, skipped: int) -> None:
    job = msgspec.structs.replace(JOB, matched=7)
    half = advanced(job, Page(done=1, skipped=0, faults=(), cursor="c"), now=5)
    assert half.skipped == 0
    over = advanced(half, Page(done=done - 1, skipped=0, faults=(), cursor=None), now=8)
    assert (over.done, over.skipped) == (done, skipped)


def test_errors_are_bounded_and_still_counted() -> None:
    faults = tuple(Fault(f"i{n}", "TN0004", "no") for n in range(MAX_ERRORS + 5))
    job = advanced(JOB, Page(done=0, skipped=0, faults=faults, cursor="c"), now=2)
    assert (len(job.errors), job.failed) == (MAX_ERRORS, MAX_ERRORS + 5)


def test_a_cancel_ends_it_with_the_next_page() -> None:
    asked = canceled(JOB, now=3)
    assert (asked.state, asked.cancel) == (RUNNING, True)
    ended = advanced(asked, Page(done=1, skipped=0, faults=(), cursor="c"), now=4)
    assert (ended.state, ended.done, ended.finished_at) == (CANCELED, 1, 4)


def test_a_cancel_that_comes_with_the_last_page_is_too_late() -> None:
    assert advanced(canceled(JOB, now=3), EMPTY, now=4).state == COMPLETED


def test_a_finished_job_cannot_be_canceled() -> None:
    over = advanced(JOB, EMPTY, now=4)
    assert canceled(over, now=9) is over


def test_the_id_of_a_new_run_depends_on_job_and_instance_alone() -> None:
    assert child_id(JOB, "a") == child_id(advanced(JOB, EMPTY, now=9), "a")
    others = {child_id(JOB, "b"), child_id(msgspec.structs.replace(JOB, id="k"), "a")}
    assert child_id(JOB, "a") not in others


def test_it_comes_back_from_the_store_as_it_was() -> None:
    query = Query(
        statuses=frozenset({Status.FAILED, Status.COMPLETED}),
        tags={"a": "b"},
        created_to=2**63 - 1,
        order=Order.ID,
    )
    full = msgspec.structs.replace(
        JOB,
        query=query,
        action=Action("raise", event="e", payload='{"a": 1}'),
        errors=(Fault("i", "TN0004", "no"),),
        cursor="c",
        cancel=True,
    )
    assert decode("job/j", encode(full)) == full


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b"[]"])
def test_what_is_no_job_is_told(body: bytes) -> None:
    with pytest.raises(StoreCorruptError, match="job/j"):
        decode("job/j", body)
