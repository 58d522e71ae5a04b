"""Listings: which heads, in which order, page by page.

In scope: every condition of ``Query`` alone and together, every order, cursors, ``count``,
``children``.  Cursor encoding is in the unit tests; SQLite's query plans in test_sqlite_plans.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pytest

from integration.store.samples import Hub, a_creation, a_turn, parent_of
from tenure_common.clock import wall_ns
from tenure_common.errors import BadCursorError
from tenure_sidecar.engine.events import Status
from tenure_sidecar.engine.head import Head
from tenure_sidecar.store.port import Create, Order, Query


@dataclass(frozen=True)
class Case:
    """One instance of the sample."""

    id: str
    status: Status
    name: str
    created: int
    completed: int
    parent: str | None
    tags: dict[str, str]


SAMPLE = [
    Case("a1", Status.RUNNING, "order", 10, 0, None, {"team": "blue"}),
    Case("a2", Status.COMPLETED, "order", 20, 90, None, {"team": "red", "tier": "1"}),
    Case("a%", Status.FAILED, "order", 20, 70, "a1", {}),
    Case("b1", Status.COMPLETED, "bill", 15, 70, "a1", {"team": "blue", "tier": "1"}),
    Case("b2", Status.PENDING, "bill", 40, 0, "b1", {"team": "blue"}),
    Case("B3", Status.TERMINATED, "Order", 5, 80, None, {"tier": "2"}),
    Case("é", Status.SUSPENDED, "order", 30, 0, "é", {}),
    Case("a", Status.STALLED, "order", 20, 0, None, {"team": ""}),
]


@pytest.fixture
async def listed(hub: Hub) -> Hub:
    """The sample, stored."""
    for case in SAMPLE:
        shared: dict[str, Any] = {
            "name": case.name,
            "created_at": case.created,
            "tags": case.tags,
            "parent": None if case.parent is None else parent_of(case.parent),
        }
        await hub.write(Create(a_creation(case.id, **shared)))
        turn = a_turn(case.id, status=case.status, completed_at=case.completed, **shared)
        await hub.write(hub.commit_of(turn))
    return hub


def ids(heads: tuple[Head, ...]) -> str:
    return " ".join(head.instance_id for head in heads)


S = Status
CASES = [
    ("everything", {}, "B3 a a% a1 a2 b1 b2 é"),
    ("a status", {"statuses": {S.RUNNING}}, "a1"),
    ("statuses", {"statuses": {S.RUNNING, S.FAILED, S.PENDING}}, "a% a1 b2"),
    ("a status that none has", {"statuses": {S.CANCELED}}, ""),
    ("a name", {"name": "order"}, "a a% a1 a2 é"),
    ("a name is exact", {"name": "Order"}, "B3"),
    ("a name and statuses", {"name": "order", "statuses": {S.RUNNING, S.COMPLETED}}, "a1 a2"),
    ("a prefix", {"id_prefix": "a"}, "a a% a1 a2"),
    ("a prefix is no pattern", {"id_prefix": "a%"}, "a%"),
    ("a prefix is exact in case", {"id_prefix": "b"}, "b1 b2"),
    ("an empty prefix", {"id_prefix": ""}, "B3 a a% a1 a2 b1 b2 é"),
    ("a prefix beyond ASCII", {"id_prefix": "é"}, "é"),
    ("a parent", {"parent": "a1"}, "a% b1"),
    ("a parent and a status", {"parent": "a1", "statuses": {S.FAILED}}, "a%"),
    ("a tag", {"tags": {"team": "blue"}}, "a1 b1 b2"),
    ("an empty tag", {"tags": {"team": ""}}, "a"),
    ("tags", {"tags": {"team": "blue", "tier": "1"}}, "b1"),
    ("a tag that none has", {"tags": {"team": "green"}}, ""),
    ("a tag and a status", {"tags": {"team": "blue"}, "statuses": {S.PENDING}}, "b2"),
    ("created from", {"created_from": 20}, "a a% a2 b2 é"),
    ("created to", {"created_to": 20}, "B3 a1 b1"),
    ("created between", {"created_from": 15, "created_to": 20}, "b1"),
    ("completed from", {"completed_from": 80}, "B3 a2"),
    ("completed to leaves out what goes on", {"completed_to": 80}, "a% b1"),
    ("completed between", {"completed_from": 70, "completed_to": 71}, "a% b1"),
    ("by creation", {"order": Order.CREATED}, "B3 a1 b1 a a% a2 é b2"),
    ("newest first", {"order": Order.NEWEST}, "b2 é a2 a% a b1 a1 B3"),
    ("by completion", {"order": Order.COMPLETED}, "a% b1 B3 a2"),
    ("by creation, a name", {"order": Order.CREATED, "name": "order"}, "a1 a a% a2 é"),
    ("newest first, a status", {"order": Order.NEWEST, "statuses": {S.COMPLETED}}, "a2 b1"),
    ("newest first, a parent", {"order": Order.NEWEST, "parent": "a1"}, "a% b1"),
    ("by completion, a tag", {"order": Order.COMPLETED, "tags": {"tier": "1"}}, "b1 a2"),
    ("by completion, bounds", {"order": Order.COMPLETED, "completed_to": 80}, "a% b1"),
    (
        "all conditions",
        {
            "statuses": {S.COMPLETED},
            "name": "bill",
            "id_prefix": "b",
            "parent": "a1",
            "tags": {"team": "blue"},
            "created_from": 15,
            "created_to": 16,
            "completed_from": 70,
            "completed_to": 71,
        },
        "b1",
    ),
]


def query_of(fields: dict[str, Any]) -> Query:
    return Query(**{**fields, "statuses": frozenset(fields.get("statuses", ()))})


@pytest.mark.parametrize(("fields", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
async def test_a_query(listed: Hub, fields: dict[str, Any], expected: str) -> None:
    query = query_of(fields)
    page = await listed.store.heads(query, limit=100)
    assert ids(page.heads) == expected
    assert page.cursor is None
    assert await listed.store.count(query) == len(page.heads)


# One of each kind of condition; what holds for an instance of the sample.
CONDITIONS: list[tuple[dict[str, Any], Callable[[Case], bool]]] = [
    (
        {"statuses": {S.COMPLETED, S.RUNNING, S.FAILED}},
        lambda case: case.status in {S.COMPLETED, S.RUNNING, S.FAILED},
    ),
    ({"name": "order"}, lambda case: case.name == "order"),
    ({"id_prefix": "a"}, lambda case: case.id.startswith("a")),
    ({"parent": "a1"}, lambda case: case.parent == "a1"),
    ({"tags": {"team": "blue"}}, lambda case: case.tags.get("team") == "blue"),
    ({"created_from": 15}, lambda case: case.created >= 15),
    ({"created_to": 21}, lambda case: case.created < 21),
    ({"completed_from": 70}, lambda case: case.completed >= 70),
    ({"completed_to": 90}, lambda case: 0 < case.completed < 90),
]
KEYS: dict[Order, Callable[[Case], tuple[int, bytes]]] = {
    Order.ID: lambda case: (0, case.id.encode()),
    Order.CREATED: lambda case: (case.created, case.id.encode()),
    Order.NEWEST: lambda case: (case.created, case.id.encode()),
    Order.COMPLETED: lambda case: (case.completed, case.id.encode()),
}


@pytest.mark.parametrize("order", Order)
async def test_conditions_in_all_combinations(listed: Hub, order: Order) -> None:
    for count in range(len(CONDITIONS) + 1):
        for chosen in combinations(CONDITIONS, count):
            fields: dict[str, Any] = {"order": order}
            for condition, _ in chosen:
                fields |= condition
            expected = [case for case in SAMPLE if all(holds(case) for _, holds in chosen)]
            if order is Order.COMPLETED:  # what goes on has no place in it
                expected = [case for case in expected if case.completed]
            expected.sort(key=KEYS[order], reverse=order is Order.NEWEST)
            query = query_of(fields)
            page = await listed.store.heads(query, limit=100)
            assert ids(page.heads) == " ".join(case.id for case in expected), fields
            assert await listed.store.count(query) == len(expected), fields


@pytest.mark.parametrize(("fields", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_join_to_the_whole(
    listed: Hub, fields: dict[str, Any], expected: str, limit: int
) -> None:
    query = query_of(fields)
    found: list[str] = []
    cursor = None
    while True:
        page = await listed.store.heads(query, limit=limit, cursor=cursor)
        assert len(page.heads) <= limit
        found += [head.instance_id for head in page.heads]
        cursor = page.cursor
        if cursor is None:
            break
        assert len(page.heads) == limit
    assert " ".join(found) == expected


async def test_heads_come_back_exactly(listed: Hub) -> None:
    page = await listed.store.heads(Query(), limit=100)
    assert list(page.heads) == [await listed.store.head(head.instance_id) for head in page.heads]


@pytest.mark.parametrize("order", list(Order), ids=lambda order: order.value)
async def test_pages_are_stable_while_instances_come_and_go(hub: Hub, order: Order) -> None:
    """What is there all the time is listed once, whatever happens around it."""
    stay = [f"s{n:02d}" for n in range(20)]
    for n, one in enumerate(stay):
        await hub.create(one, created_at=n // 3)
        await hub.commit(one, status=Status.COMPLETED, created_at=n // 3, completed_at=9 + n // 4)
    found: list[str] = []
    cursor = None
    for step in range(100):
        page = await hub.store.heads(Query(order=order), limit=3, cursor=cursor)
        found += [head.instance_id for head in page.heads]
        cursor = page.cursor
        if cursor is None:
            break
        for one in (f"a{step}", f"t{step}"):  # before and behind the cursor
            await hub.create(one, created_at=step)
            await hub.commit(one, status=Status.FAILED, created_at=step, completed_at=step)
        if step % 2:
            await hub.purge(page.heads[-1].instance_id)  # the one that the cursor stands on
    assert [one for one in found if one in stay] == sorted(stay, reverse=order is Order.NEWEST)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("limit", [7, 150])
async def test_the_newest_first_of_bursts_and_of_long_pauses(hub: Hub, limit: int) -> None:
    now, second = wall_ns(), 1_000_000_000
    times = [now - n for n in range(120)]  # a burst, of as many nanoseconds
    times += [now - n * second for n in range(1, 40)]
    times += [now - n * 86_400 * second for n in range(1, 400, 7)]
    times += [0, 1, now + 3_600 * second]  # also of clocks that are wrong
    for n, at in enumerate(times):
        await hub.create(f"i{n:03}", created_at=at)
    expected = [name for _, name in sorted([(at, f"i{n:03}") for n, at in enumerate(times)])][::-1]
    bounds: list[dict[str, Any]] = [
        {},
        {"created_from": now - 50 * 86_400 * second, "created_to": now - second},
    ]
    for bound in bounds:
        found: list[str] = []
        cursor = None
        while True:
            query = Query(order=Order.NEWEST, **bound)
            page = await hub.store.heads(query, limit=limit, cursor=cursor)
            found += [head.instance_id for head in page.heads]
            cursor = page.cursor
            if cursor is None:
                break
        low, high = bound.get("created_from", -1), bound.get("created_to", 1 << 63)
        assert found == [one for one in expected if low <= times[int(one[1:])] < high]


async def test_a_listing_follows_every_change(hub: Hub) -> None:
    await hub.create("a", tags={"t": "1"})
    running = Query(statuses=frozenset({Status.RUNNING}))
    assert await hub.store.count(running) == 0
    await hub.commit("a", tags={"t": "1"})
    assert ids((await hub.store.heads(running, limit=9)).heads) == "a"
    await hub.commit("a", restart=True, tags={"t": "2", "u": "3"}, name="other")
    for query, count in (
        (Query(tags={"t": "1"}), 0),
        (Query(tags={"t": "2", "u": "3"}), 1),
        (Query(name="order"), 0),
        (Query(name="other"), 1),
    ):
        assert await hub.store.count(query) == count
    await hub.finish("a", name="other", completed_at=77)
    assert await hub.store.count(running) == 0
    assert await hub.store.count(Query(completed_from=77, completed_to=78)) == 1


async def test_children_in_id_order(hub: Hub) -> None:
    for one in ("z", "b", "A"):
        await hub.create(one, parent=parent_of("p"))
    await hub.create("q", parent=parent_of("pp"))
    assert await hub.store.children("p") == ("A", "b", "z")
    assert await hub.store.children("nobody") == ()


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "é", "AAAA", "k6JpZAChYgAA", "a" * 500])
async def test_a_cursor_that_is_none(listed: Hub, cursor: str) -> None:
    with pytest.raises(BadCursorError, match="TN0005"):
        await listed.store.heads(Query(), limit=5, cursor=cursor)


async def test_a_cursor_of_another_order(listed: Hub) -> None:
    page = await listed.store.heads(Query(), limit=2)
    with pytest.raises(BadCursorError, match="by 'id'"):
        await listed.store.heads(Query(order=Order.NEWEST), limit=2, cursor=page.cursor)


async def test_limit_zero_is_an_empty_page(listed: Hub) -> None:
    page = await listed.store.heads(Query(), limit=0)
    assert page.heads == ()
    assert page.cursor is None
