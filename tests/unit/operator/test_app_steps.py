"""What is decided about a WorkflowApp: whose the app is, its settings, what the status says, its end.

In scope: one decision at a time.  Out of scope: the calls (tests/kubernetes/test_operator_apps).
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from support.values import NOW, app
from tenure_common.times import NANOS, format_time
from tenure_operator.app import AppView, Settings
from tenure_operator.reconcile.app import LOOK_EVERY, Seen, next_step
from tenure_operator.reconcile.backoff import LAST
from tenure_operator.reconcile.refusals import Refusal, refusal, unanswered
from tenure_operator.reconcile.steps import Configure, Confirm, Look, Rest, SetFinalizers
from tenure_operator.resources import (
    FINALIZER_SETTINGS,
    AppStatus,
    Concurrency,
    Condition,
    KeptFor,
    WorkflowApp,
)

WEEK = {"any": "7d"}
SET = Settings(version=4, retention=KeptFor(any="7d"))
UNSET = Settings(version=0)
EARLIER = {"creationTimestamp": "2025-12-31T00:00:00Z"}
AWAY = unanswered("no answer")
NO_APP = refusal("TN0109", 404, "there is no app 'orders'")
CHANGED = refusal("TN0112", 409, "another version")
BAD = refusal("TN0004", 400, "retention.any: too long")
DELETED = "2026-01-01T00:00:05Z"


def view(settings: Settings = UNSET, **given: Any) -> AppView:
    known = AppView(
        store="etcd", partitions=64, owned_partitions=64, sidecars=2, workers=3, settings=settings
    )
    return msgspec.structs.replace(known, **given)


def rest(one: WorkflowApp, seen: Seen, **more: Any) -> tuple[AppStatus, Rest]:
    step = next_step(one, seen, now=NOW, **more)
    assert isinstance(step, Rest)
    assert isinstance(step.status, AppStatus)
    return step.status, step


def ready(status: AppStatus, kind: str = "Ready") -> tuple[str, str, str]:
    (found,) = [one for one in status.conditions if one.type == kind]
    return found.status, found.reason, found.message


# --- settings -------------------------------------------------------------------------------------


def test_the_finalizer_comes_first() -> None:
    step = next_step(app(held=False, retention=WEEK), Seen(), now=NOW)
    assert step == SetFinalizers((FINALIZER_SETTINGS,))


def test_settings_are_written_after_a_look_at_the_app_and_at_the_other_resources() -> None:
    one = app(retention=WEEK, concurrency={"activities": 5})
    assert next_step(one, Seen(), now=NOW) == Look()
    seen = Seen(app=view(Settings(version=3)))
    assert next_step(one, seen, now=NOW) == Confirm()
    step = next_step(one, seen._replace(confirmed=True), now=NOW)
    assert step == Configure(3, KeptFor(any="7d"), Concurrency(activities=5))


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(UNSET, id="nothing set"),
        pytest.param(Settings(version=9, retention=KeptFor(any="8d")), id="another time"),
        pytest.param(
            Settings(version=9, retention=KeptFor(any="7d", failed="1d")), id="one more time"
        ),
        pytest.param(
            Settings(version=9, retention=KeptFor(any="7d"), concurrency=Concurrency(workflows=1)),
            id="a limit",
        ),
    ],
)
def test_whatever_differs_is_set_back(there: Settings) -> None:
    step = next_step(app(retention=WEEK), Seen(app=view(there), confirmed=True), now=NOW)
    assert step == Configure(there.version, KeptFor(any="7d"))


def test_what_the_spec_leaves_out_is_taken_away() -> None:
    step = next_step(app(), Seen(app=view(SET), confirmed=True), now=NOW)
    assert step == Configure(SET.version)


def test_nothing_is_written_when_all_is_so_already_and_the_next_look_is_set() -> None:
    one = app(retention=WEEK)
    status, step = rest(one, Seen(app=view(SET)))
    assert step.wake_at == NOW + LOOK_EVERY
    later = msgspec.structs.replace(one, status=status)
    again = next_step(later, Seen(app=view(SET)), now=NOW + LOOK_EVERY)
    assert isinstance(again, Rest)
    assert (again.status, again.announcements) == (status, ())


def test_settings_changed_by_somebody_else_meanwhile_are_read_again() -> None:
    seen = Seen(app=view(), confirmed=True, refusal=CHANGED)
    assert next_step(app(retention=WEEK), seen, now=NOW) == Look()


def test_a_gateway_that_takes_something_else_is_not_asked_in_a_loop() -> None:
    seen = Seen(app=view(), confirmed=True, configured=True)
    status, _ = rest(app(retention=WEEK), seen)
    assert ready(status)[:2] == ("False", "Refused")


# --- the status -----------------------------------------------------------------------------------


def test_the_status_tells_who_works_for_the_app_and_what_is_set() -> None:
    one = app(retention={"any": "7d", "failed": "forever"}, concurrency={"workflows": 8})
    settings = Settings(version=4, retention=one.spec.retention, concurrency=one.spec.concurrency)
    status, step = rest(one, Seen(app=view(settings, owned_partitions=60)))
    assert (status.app_id, status.store, status.settings_version) == ("orders", "etcd", 4)
    assert (status.sidecars, status.workers) == (2, 3)
    assert (status.partitions, status.owned_partitions) == (64, 60)
    text = (
        "any runs are kept for 7d; failed runs are kept forever; "
        "a sidecar works on 8 workflows at a time"
    )
    assert ready(status) == ("True", "Applied", text)
    assert ready(status, "Served")[:2] == ("True", "WorkerConnected")
    (told,) = step.announcements
    assert (told.reason, told.warning) == ("Configured", False)
    assert text in told.message


def test_an_app_without_a_worker_is_ready_and_not_served() -> None:
    status, step = rest(app(), Seen(app=view(workers=0, sidecars=0)))
    assert ready(status)[0] == "True"
    assert ready(status, "Served")[:2] == ("False", "NoWorker")
    assert (status.workers, step.announcements) == (0, ())


def test_the_app_is_the_specs_or_else_the_one_of_the_name() -> None:
    assert app("of-orders", appID="Orders_2").app_id == "Orders_2"
    assert app("orders").app_id == "orders"


@pytest.mark.parametrize(("wanted", "holds"), [(64, "True"), (32, "False")])
def test_partitions_are_compared_and_the_settings_set_all_the_same(wanted: int, holds: str) -> None:
    one = app(partitions=wanted, retention=WEEK)
    assert isinstance(next_step(one, Seen(app=view(), confirmed=True), now=NOW), Configure)
    status, step = rest(one, Seen(app=view(SET)))
    assert ready(status)[0] == holds
    assert status.partitions == 64
    if holds == "False":
        assert ready(status)[1] == "PartitionsDiffer"
        assert "set spec.partitions to 64" in ready(status)[2]
        assert [told.warning for told in step.announcements] == [True]


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "holds", "reason", "within"),
    [
        pytest.param(AWAY, "Unknown", "GatewayUnavailable", 10 * NANOS, id="gateway away"),
        pytest.param(NO_APP, "False", "NoSuchApp", LOOK_EVERY, id="no such app"),
        pytest.param(BAD, "False", "BadRequest", LAST, id="not taken"),
    ],
)
def test_a_refusal_is_told_once_and_tried_again_later(
    why: Refusal, holds: str, reason: str, within: int
) -> None:
    one = app(retention=WEEK)
    status, step = rest(one, Seen(refusal=why))
    assert ready(status)[:2] == (holds, reason)
    assert why.code in ready(status)[2]
    assert [told.reason for told in step.announcements] == [reason]
    assert step.wake_at is not None
    assert NOW + NANOS // 2 < step.wake_at <= NOW + within
    later = msgspec.structs.replace(one, status=status)
    again, step = rest(later, Seen(refusal=why), attempts=3)
    assert (again, step.announcements) == (status, ())


def test_while_the_gateway_is_away_the_rest_of_the_status_stands() -> None:
    one = app(retention=WEEK)
    known, _ = rest(one, Seen(app=view(SET)))
    status, _ = rest(msgspec.structs.replace(one, status=known), Seen(refusal=AWAY))
    assert (status.workers, status.settings_version) == (3, 4)
    assert ready(status, "Served") == ready(known, "Served")


def test_an_app_that_is_gone_has_nobody() -> None:
    one = app(retention=WEEK)
    known, _ = rest(one, Seen(app=view(SET)))
    status, _ = rest(msgspec.structs.replace(one, status=known), Seen(refusal=NO_APP))
    assert (status.workers, status.partitions, status.settings_version) == (None, None, None)
    assert ready(status, "Served")[:2] == ("False", "NoSuchApp")


# --- several resources of one app -----------------------------------------------------------------


def test_of_two_the_oldest_has_the_app() -> None:
    first, second = app("first", metadata=EARLIER), app("second", retention=WEEK)
    assert next_step(first, Seen(rivals=(second,)), now=NOW) == Look()
    assert next_step(second, Seen(rivals=(first,)), now=NOW) == Confirm()
    status, step = rest(second, Seen(rivals=(first,), confirmed=True))
    assert ready(status)[:2] == ("False", "AppIDInUse")
    assert "'first'" in ready(status)[2]
    assert [told.warning for told in step.announcements] == [True]


def test_of_two_of_the_same_second_the_name_decides() -> None:
    one, other = app("a"), app("b")
    seen = (Seen(rivals=(other,)), Seen(rivals=(one,)))
    assert [next_step(o, s, now=NOW) for o, s in zip((one, other), seen, strict=True)] == [
        Look(),
        Confirm(),
    ]


def test_one_that_loses_the_app_shows_nothing_of_it() -> None:
    one = app("second")
    known, _ = rest(one, Seen(app=view()))
    late = msgspec.structs.replace(one, status=known)
    status, _ = rest(late, Seen(rivals=(app("first", metadata=EARLIER),), confirmed=True))
    assert status.workers is None
    assert [condition.type for condition in status.conditions] == ["Ready"]


def test_conditions_of_others_stay() -> None:
    given = Condition(
        type="Checked", status="True", reason="X", message="", last_transition_time=DELETED
    )
    one = msgspec.structs.replace(app(), status=AppStatus(conditions=(given,)))
    status, _ = rest(one, Seen(app=view()))
    assert given in status.conditions


# --- the end --------------------------------------------------------------------------------------


def test_a_deletion_takes_the_settings_back_and_then_lets_go() -> None:
    one = app(retention=WEEK, deleted=DELETED)
    assert next_step(one, Seen(), now=NOW) == Confirm()
    assert next_step(one, Seen(confirmed=True), now=NOW) == Look()
    seen = Seen(confirmed=True, app=view(SET))
    assert next_step(one, seen, now=NOW) == Configure(SET.version)
    step = next_step(one, seen._replace(app=view(), configured=True), now=NOW)
    assert isinstance(step, SetFinalizers)
    assert (step.finalizers, step.announcements[0].reason) == ((), "SettingsReset")


@pytest.mark.parametrize("metadata", [EARLIER, {}], ids=["older", "younger"])
def test_a_deletion_leaves_the_settings_to_another_resource_that_will_take_them_back(
    metadata: dict[str, Any],
) -> None:
    one = app("first", deleted=DELETED)
    seen = Seen(confirmed=True, rivals=(app("second", metadata=metadata),))
    assert next_step(one, seen, now=NOW) == SetFinalizers(())
    for other in (app("second", deleted=DELETED), app("second", held=False)):
        seen = Seen(confirmed=True, rivals=(other,))
        assert next_step(one, seen, now=NOW) == Look(), "that one may go without a word"


@pytest.mark.parametrize(
    ("one", "seen"),
    [
        pytest.param(app(deleted=DELETED), Seen(confirmed=True, refusal=NO_APP), id="no such app"),
        pytest.param(app(deleted=DELETED), Seen(confirmed=True, app=view()), id="nothing is set"),
    ],
)
def test_a_deletion_with_nothing_to_take_back_is_done(one: WorkflowApp, seen: Seen) -> None:
    step = next_step(one, seen, now=NOW)
    assert isinstance(step, SetFinalizers)
    assert step.finalizers == ()


def test_a_deletion_that_was_overtaken_by_somebody_looks_again() -> None:
    seen = Seen(confirmed=True, app=view(SET), refusal=CHANGED)
    assert next_step(app(deleted=DELETED), seen, now=NOW) == Look()


def test_a_deletion_waits_for_a_gateway_but_not_for_ever() -> None:
    one = app(deleted=DELETED)
    seen = Seen(confirmed=True, refusal=AWAY)
    status, step = rest(one, seen)
    assert ready(status)[:2] == ("False", "WaitsForReset")
    assert "or at 2026-01-01T00:05:05Z without: no answer" in ready(status)[2]
    assert step.wake_at is not None
    assert step.wake_at <= NOW + 2 * NANOS
    late = NOW + 296 * NANOS
    assert format_time(late) > "2026-01-01T00:05:05"
    over = next_step(one, seen, now=late)
    assert isinstance(over, SetFinalizers)
    assert over.finalizers == ()
    assert (over.announcements[0].reason, over.announcements[0].warning) == ("SettingsKept", True)


def test_nothing_is_left_to_do_without_the_finalizer() -> None:
    assert next_step(app(deleted=DELETED, held=False), Seen(), now=NOW) == Rest()
