"""What a turn does to other instances, in the same transaction: children and messages.

In scope: ``Turn.creations`` (new, rejected, repeated, in place of an ended one, rewound),
``Turn.messages``, and ops of one write that reach the same instance.
"""

from __future__ import annotations

import pytest

from integration.store.samples import (
    ENDED,
    START,
    Hub,
    a_creation,
    a_timer,
    a_turn,
    an_item,
    events,
    parent_of,
)
from tenure_sidecar.engine.events import ExecutionRewound, Status
from tenure_sidecar.engine.turn import Creation, Message
from tenure_sidecar.store.port import (
    Committed,
    Conflict,
    Create,
    Created,
    Deliver,
    Delivery,
    Exists,
    Purge,
)


def child(instance_id: str, *, parent: str = "p", task_id: int = 1, **fields: object) -> Creation:
    """A creation by a task of ``parent``, which is told if the id is taken."""
    rejection = Message(parent, an_item(f"rejected:{task_id}"))
    return a_creation(instance_id, parent=parent_of(parent, task_id), rejection=rejection, **fields)


async def test_a_child_is_all_there(hub: Hub) -> None:
    await hub.running("p")
    creation = child("c", input="7")
    result = await hub.commit("p", creations=(creation,))
    assert isinstance(result, Committed)
    loaded = await hub.loaded("c")
    (created,) = result.creations
    assert isinstance(created, Created)
    assert (created.head, created.version) == (creation.head, loaded.version)
    assert loaded.head == creation.head
    assert loaded.input == "7"
    assert loaded.inbox == (creation.item,)
    assert await hub.active() == ["c"]


async def test_a_seed_comes_with_the_start(hub: Hub) -> None:
    seed = events("before")
    await hub.one(Create(a_creation("a", seed=seed)))
    assert (await hub.loaded("a")).inbox[0].seed == seed


async def test_a_child_can_start_later(hub: Hub) -> None:
    await hub.running("p")
    await hub.commit("p", creations=(child("c", timer=a_timer("c", 8_000, kind=START)),))
    assert await hub.due() == [a_timer("c", 8_000, kind=START)]
    assert await hub.active() == []


async def test_many_children_of_one_turn(hub: Hub) -> None:
    await hub.running("p")
    ids = [f"c{n:03d}" for n in range(200)]
    made = tuple(child(one, task_id=n) for n, one in enumerate(ids))
    result = await hub.commit("p", creations=made)
    assert isinstance(result, Committed)
    assert all(isinstance(one, Created) for one in result.creations)
    assert await hub.store.children("p") == tuple(ids)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"parent": parent_of("q")},
        {"parent": parent_of("p", 2)},
        {"parent": parent_of("p", 1, "another execution")},
    ],
    ids=["no parent", "another parent", "another task", "another execution"],
)
async def test_a_taken_id_is_rejected(hub: Hub, fields: dict[str, object]) -> None:
    await hub.running("p")
    await hub.create("c", **fields)
    before = await hub.loaded("c")
    result = await hub.commit("p", creations=(child("c"),))
    assert result == Committed(hub.versions["p"], (Exists(before.head),))
    assert await hub.loaded("c") == before
    assert await hub.inbox("p") == ["rejected:1"]


async def test_the_same_task_again_is_no_rejection(hub: Hub) -> None:
    await hub.running("p")
    await hub.commit("p", creations=(child("c"),))
    before = await hub.loaded("c")
    result = await hub.commit("p", creations=(child("c"),))
    assert result == Committed(hub.versions["p"], (Exists(before.head),))
    assert await hub.inbox("p") == []
    assert await hub.loaded("c") == before


async def test_a_rejection_without_a_message_is_silent(hub: Hub) -> None:
    await hub.running("p", "c")
    result = await hub.commit("p", creations=(a_creation("c"),))
    assert isinstance(result, Committed)
    assert [type(one) for one in result.creations] == [Exists]
    assert await hub.inbox("p") == []


async def test_the_parent_itself_as_a_child_is_rejected(hub: Hub) -> None:
    await hub.running("p")
    result = await hub.commit("p", creations=(child("p"),))
    assert isinstance(result, Committed)
    assert isinstance(result.creations[0], Exists)
    assert await hub.inbox("p") == ["rejected:1"]


@pytest.mark.parametrize("status", sorted(ENDED), ids=lambda status: status.name)
async def test_an_ended_instance_is_replaced_and_gets_the_new_parent(
    hub: Hub, status: Status
) -> None:
    await hub.running("p")
    await hub.create("c", parent=parent_of("q"))
    await hub.commit("c", status=status, generation=3, append=events("old"))
    result = await hub.commit("p", creations=(child("c"),))
    assert isinstance(result, Committed)
    loaded = await hub.loaded("c")
    (created,) = result.creations
    assert isinstance(created, Created)
    assert (created.head, created.version) == (loaded.head, loaded.version)
    assert loaded.head.generation == 4
    assert loaded.head.parent == parent_of("p")
    assert loaded.history == ()
    assert await hub.store.children("p") == ("c",)
    assert await hub.store.children("q") == ()


async def test_a_child_that_ended_in_the_same_write_is_replaced(hub: Hub) -> None:
    await hub.running("p", "c")
    finish = hub.commit_of(a_turn("c", status=Status.COMPLETED, append=events("last")))
    create = hub.commit_of(a_turn("p", creations=(child("c"),)))
    ended, created = await hub.write(finish, create)
    assert isinstance(ended, Committed)
    assert isinstance(created, Committed)
    assert isinstance(created.creations[0], Created)
    loaded = await hub.loaded("c")
    assert loaded.head.generation == 1
    assert loaded.history == ()
    assert (await hub.counts())["instances"] == 2


async def test_two_parents_of_one_write_want_the_same_id(hub: Hub) -> None:
    await hub.running("p", "q")
    first, second = await hub.write(
        hub.commit_of(a_turn("p", creations=(child("c", parent="p"),))),
        hub.commit_of(a_turn("q", creations=(child("c", parent="q"),))),
    )
    assert isinstance(first, Committed)
    assert isinstance(second, Committed)
    assert isinstance(first.creations[0], Created)
    assert second.creations == (Exists(first.creations[0].head),)
    assert await hub.inbox("p") == []
    assert await hub.inbox("q") == ["rejected:1"]


async def test_one_turn_creates_the_same_id_twice(hub: Hub) -> None:
    await hub.running("p")
    result = await hub.commit("p", creations=(child("c"), child("c", task_id=2)))
    assert isinstance(result, Committed)
    assert [type(one) for one in result.creations] == [Created, Exists]
    assert await hub.inbox("p") == ["rejected:2"]


async def test_a_failed_child_of_the_same_task_is_rewound(hub: Hub) -> None:
    await hub.running("p")
    rewind = an_item("rewind", event=ExecutionRewound(5_000))
    await hub.commit("p", creations=(child("c"),))
    await hub.finish("c", Status.FAILED, parent=parent_of("p"), append=events("x"))
    head = await hub.store.head("c")
    result = await hub.commit("p", creations=(child("c", rewind=rewind),))
    assert isinstance(result, Committed)
    assert result.creations == (Exists(head),)
    loaded = await hub.loaded("c")
    assert loaded.inbox == (rewind,)
    assert loaded.history == events("x")
    assert await hub.inbox("p") == []
    assert await hub.active() == ["c"]


@pytest.mark.parametrize(
    ("status", "parent"),
    [(Status.COMPLETED, parent_of("p")), (Status.FAILED, parent_of("p", 2)), (Status.FAILED, None)],
    ids=["completed", "another task's", "nobody's"],
)
async def test_any_other_ended_child_is_not_rewound(
    hub: Hub, status: Status, parent: object
) -> None:
    await hub.running("p")
    await hub.create("c", parent=parent)
    await hub.commit("c", status=status, parent=parent)
    rewind = an_item("rewind", event=ExecutionRewound(5_000))
    result = await hub.commit("p", creations=(child("c", rewind=rewind),))
    assert isinstance(result, Committed)
    assert isinstance(result.creations[0], Created)
    assert await hub.inbox("c") == ["start"]


async def test_messages_reach_their_targets_in_order(hub: Hub) -> None:
    await hub.running("a", "b")
    sent = tuple(Message("b", an_item(key)) for key in ("z", "a", "m"))
    result = await hub.commit("a", messages=sent)
    assert result == Committed(hub.versions["a"], (), (Delivery.DELIVERED,) * 3)
    assert await hub.inbox("b") == ["z", "a", "m"]


async def test_each_message_has_its_own_fate(hub: Hub) -> None:
    await hub.running("a", "b", "ended")
    await hub.finish("ended")
    await hub.deliver("b", "there")
    sent = (
        Message("b", an_item("new")),
        Message("b", an_item("there")),
        Message("ended", an_item("k")),
        Message("nobody", an_item("k")),
        Message("b", an_item("new")),
    )
    result = await hub.commit("a", messages=sent)
    assert isinstance(result, Committed)
    assert result.messages == (
        Delivery.DELIVERED,
        Delivery.DUPLICATE,
        Delivery.REFUSED,
        Delivery.MISSING,
        Delivery.DUPLICATE,
    )
    assert await hub.inbox("b") == ["there", "new"]


async def test_a_message_to_oneself_is_behind_what_is_there(hub: Hub) -> None:
    await hub.running("a")
    await hub.deliver("a", "x")
    await hub.commit("a", messages=(Message("a", an_item("me")),), carryover=(an_item("c"),))
    assert await hub.inbox("a") == ["c", "x", "me"]


async def test_the_last_turn_takes_no_message_to_oneself(hub: Hub) -> None:
    await hub.running("a")
    result = await hub.commit("a", status=Status.COMPLETED, messages=(Message("a", an_item("me")),))
    assert isinstance(result, Committed)
    assert result.messages == (Delivery.REFUSED,)
    assert await hub.inbox("a") == []


async def test_a_message_reaches_a_child_of_the_same_turn(hub: Hub) -> None:
    await hub.running("p")
    await hub.commit("p", creations=(child("c"),), messages=(Message("c", an_item("k")),))
    assert await hub.inbox("c") == ["start", "k"]


async def test_a_message_changes_no_version_of_its_target(hub: Hub) -> None:
    await hub.running("a", "b")
    await hub.commit("a", messages=(Message("b", an_item("k")),))
    assert isinstance(await hub.commit("b", consumed=("k",)), Committed)


async def test_a_target_that_ends_earlier_in_the_write_takes_nothing(hub: Hub) -> None:
    await hub.running("a", "b")
    finish = hub.commit_of(a_turn("b", status=Status.COMPLETED))
    send = hub.commit_of(a_turn("a", messages=(Message("b", an_item("k")),)))
    _, sent = await hub.write(finish, send)
    assert isinstance(sent, Committed)
    assert sent.messages == (Delivery.REFUSED,)
    assert await hub.inbox("b") == []


async def test_a_target_that_ends_later_in_the_write_loses_what_it_got(hub: Hub) -> None:
    await hub.running("a", "b")
    send = hub.commit_of(a_turn("a", messages=(Message("b", an_item("k")),)))
    finish = hub.commit_of(a_turn("b", status=Status.COMPLETED))
    sent, _ = await hub.write(send, finish)
    assert isinstance(sent, Committed)
    assert sent.messages == (Delivery.DELIVERED,)
    assert await hub.inbox("b") == []


async def test_a_child_is_created_messaged_and_purged_in_one_write(hub: Hub) -> None:
    await hub.running("p", "a")
    results = await hub.write(
        hub.commit_of(a_turn("p", creations=(child("c", input="i", tags={"t": "1"}),))),
        hub.commit_of(a_turn("a", messages=(Message("c", an_item("k")),))),
        Purge("c"),
    )
    assert isinstance(results[1], Committed)
    assert results[1].messages == (Delivery.DELIVERED,)
    assert results[2] is Delivery.DELIVERED
    assert await hub.store.load("c") is None
    counts = await hub.counts()
    assert counts == {"instances": 2, "history_events": 4, "inbox_items": 0, "timers": 0}


async def test_a_purged_id_is_free_for_a_child_of_the_same_write(hub: Hub) -> None:
    await hub.running("p", "c")
    purged, made = await hub.write(Purge("c"), hub.commit_of(a_turn("p", creations=(child("c"),))))
    assert purged is Delivery.DELIVERED
    assert isinstance(made, Committed)
    assert isinstance(made.creations[0], Created)
    assert (await hub.loaded("c")).head.generation == 0


async def test_what_was_delivered_earlier_in_the_write_is_consumed_later_in_it(hub: Hub) -> None:
    await hub.running("a", "b")
    await hub.write(
        hub.commit_of(a_turn("a", messages=(Message("b", an_item("k")),))),
        hub.commit_of(a_turn("b", consumed=("k",), carryover=(an_item("c"),))),
    )
    assert await hub.inbox("b") == ["c"]


async def test_messages_of_a_refused_turn_are_not_sent(hub: Hub) -> None:
    await hub.running("a", "b")
    refused, delivered = await hub.write(
        hub.commit_of(a_turn("a", messages=(Message("b", an_item("k")),)), version=1),
        Deliver("b", an_item("d")),
    )
    assert refused == Conflict(fenced=False)
    assert delivered is Delivery.DELIVERED
    assert await hub.inbox("b") == ["d"]


async def test_a_detached_workflow_is_no_child(hub: Hub) -> None:
    await hub.running("p")
    await hub.commit("p", creations=(a_creation("d"),))
    assert await hub.store.children("p") == ()
