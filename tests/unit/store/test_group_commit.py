"""Group commit in virtual time, over a real store whose writes take as long as a test says.

In scope: which ops share a write, when it begins, and what becomes of ops when it fails.  Out of
scope: what a store does with a write (integration/store), instances (unit/actors).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from integration.store.samples import a_creation, an_item
from support.virtual import in_virtual_time, passes
from tenure_common.errors import (
    OutcomeUnknownError,
    StoreCorruptError,
    StoreFullError,
    StoreUnavailableError,
)
from tenure_sidecar.store.group import LINGER, GroupWriter, Ticket
from tenure_sidecar.store.memory import MemoryDatabase, MemoryStore
from tenure_sidecar.store.partition import partition_of
from tenure_sidecar.store.port import (
    Conflict,
    Create,
    Created,
    Deliver,
    Delivery,
    Fence,
    Op,
    Result,
)

WRITE = 0.010  # seconds that a write takes
FULL = StoreFullError("no room")


class Slow(MemoryStore):
    """Writes take ``WRITE``; ``faults`` are raised by the next ones, None = write."""

    def __init__(self) -> None:
        super().__init__(MemoryDatabase(partitions=8))
        self.loop = asyncio.get_running_loop()
        self.begun: list[float] = []
        self.batches: list[list[str]] = []
        self.faults: list[BaseException | None] = []
        self.after = False  # whether a fault comes after the write was done

    async def write(self, ops: Sequence[Op]) -> list[Result]:
        self.begun.append(round(self.loop.time(), 6))
        self.batches.append([name(op) for op in ops])
        await asyncio.sleep(WRITE)
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None and not self.after:
            raise fault
        results = await super().write(ops)
        if fault is not None:
            raise fault
        return results


def name(op: Op) -> str:
    if isinstance(op, Deliver):
        return f"{op.target}.{op.item.key}"
    assert isinstance(op, Create)
    return op.creation.head.instance_id


class Rig:
    """A writer, and what became of everything submitted to it."""

    def __init__(
        self,
        *,
        pace: float = 0.0,
        max_ops: int = 100,
        max_bytes: int = 1 << 20,
    ) -> None:
        self.store = Slow()
        loop = self.store.loop
        self.writer = GroupWriter(
            self.store,
            call_later=loop.call_later,
            now=loop.time,
            pace=lambda: pace,
            max_ops=max_ops,
            max_bytes=max_bytes,
        )
        self.done: dict[str, Result | BaseException] = {}

    def heard(self, what: str) -> Callable[[Result | BaseException], None]:
        def done(result: Result | BaseException) -> None:
            assert what not in self.done, "told twice"
            self.done[what] = result

        return done

    def create(self, instance_id: str, *, given: str | None = None, hold: bool = False) -> Ticket:
        op = Create(a_creation(instance_id, input=given))
        return self.writer.submit(op, self.heard(instance_id), instance_id=instance_id, hold=hold)

    def deliver(
        self,
        instance_id: str,
        key: str,
        *,
        linger: float = 0.0,
        hold: bool = False,
        fence: Fence | None = None,
    ) -> Ticket:
        op = Deliver(instance_id, an_item(key), fence=fence)
        return self.writer.submit(
            op, self.heard(name(op)), instance_id=instance_id, linger=linger, hold=hold
        )

    @property
    def batches(self) -> list[list[str]]:
        return self.store.batches

    @property
    def errors(self) -> dict[str, str]:
        return {
            what: type(result).__name__
            for what, result in self.done.items()
            if isinstance(result, BaseException)
        }


# --- sharing --------------------------------------------------------------------------------------


@in_virtual_time
async def test_ops_submitted_together_share_a_write_that_begins_at_once() -> None:
    rig = Rig()
    for one in "abc":
        rig.create(one)
    await passes(1)
    assert rig.batches == [["a", "b", "c"]]
    assert rig.store.begun == [0.0]
    assert all(isinstance(result, Created) for result in rig.done.values())
    assert rig.writer.depth == 0


@in_virtual_time
async def test_what_comes_during_a_write_shares_the_next_one() -> None:
    rig = Rig()
    rig.create("a")
    await passes(WRITE / 2)
    rig.create("b")
    await passes(WRITE / 4)
    rig.create("c")
    assert rig.writer.depth == 3
    await passes(1)
    assert rig.batches == [["a"], ["b", "c"]]
    assert rig.store.begun == [0.0, WRITE]


@in_virtual_time
async def test_ops_of_one_instance_keep_their_order_and_share_no_write() -> None:
    rig = Rig()
    rig.create("a")
    rig.deliver("a", "1")
    rig.create("b")
    await passes(1)
    assert rig.batches == [["a", "b"], ["a.1"]]


@in_virtual_time
async def test_deliveries_in_a_row_share_a_write() -> None:
    rig = Rig()
    rig.create("a")
    await passes(1)
    for key in "123":
        rig.deliver("a", key)
    await passes(1)
    assert rig.batches[1:] == [["a.1", "a.2", "a.3"]]
    loaded = await rig.store.load("a")
    assert loaded is not None
    assert [item.key for item in loaded.inbox] == ["start", "1", "2", "3"]


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        pytest.param({"max_ops": 2}, [2, 2, 1], id="ops"),
        pytest.param({"max_bytes": 3_000}, [2, 2, 1], id="bytes"),
        pytest.param({"max_bytes": 1}, [1, 1, 1, 1, 1], id="each too large"),
    ],
)
@in_virtual_time
async def test_a_write_is_bounded(limits: dict[str, int], sizes: list[int]) -> None:
    rig = Rig(**limits)  # type: ignore[arg-type]
    for one in "abcde":
        rig.create(one, given="x" * 1_000)
    await passes(1)
    assert [len(batch) for batch in rig.batches] == sizes
    assert len(rig.done) == 5


# --- waiting for company --------------------------------------------------------------------------


@in_virtual_time
async def test_an_op_that_is_not_urgent_lingers_a_moment() -> None:
    rig = Rig()
    rig.create("a")
    await passes(1)
    rig.deliver("a", "1", linger=LINGER)
    await passes(1)
    assert rig.store.begun == [0.0, 1.001]


@in_virtual_time
async def test_the_least_patient_one_says_when_all_are_written() -> None:
    rig = Rig()
    rig.create("a")
    await passes(1)
    rig.deliver("a", "1", linger=0.005)
    rig.deliver("b", "1", linger=0.002)
    rig.deliver("c", "1", linger=0.009)
    await passes(1)
    assert rig.batches[1:] == [["a.1", "b.1", "c.1"]]
    assert rig.store.begun == [0.0, 1.002]


@in_virtual_time
async def test_an_urgent_one_takes_it_along() -> None:
    rig = Rig()
    rig.create("a")
    await passes(1)
    rig.deliver("a", "1", linger=LINGER)
    rig.create("b")
    await passes(1)
    assert rig.batches[1:] == [["a.1", "b"]]
    assert rig.store.begun[1] == 1.0


@in_virtual_time
async def test_an_urgent_one_behind_it_hurries_it() -> None:
    rig = Rig()
    rig.create("a")
    await passes(1)
    rig.deliver("a", "1", linger=LINGER)
    rig.deliver("a", "2")
    await passes(1)
    assert rig.batches[1:] == [["a.1", "a.2"]]
    assert rig.store.begun[1] == 1.0


@in_virtual_time
async def test_writes_are_paced_while_ops_keep_coming() -> None:
    rig = Rig(pace=0.050)
    for number in range(100):
        rig.create(f"{number}")
        await passes(0.0005)
    await passes(1)
    assert rig.store.begun == [0.0, pytest.approx(0.050, abs=0.001)]


@in_virtual_time
async def test_a_pace_ends_when_nothing_comes() -> None:
    """Whoever could send more waits for this write: to wait on is to wait for nobody."""
    rig = Rig(pace=0.050)
    rig.create("a")
    await passes(0.012)
    rig.create("b")
    await passes(0.0005)
    rig.create("c")
    await passes(1)
    assert rig.store.begun == [0.0, 0.0135]
    assert rig.batches[1] == ["b", "c"]


@in_virtual_time
async def test_after_a_pause_a_write_begins_at_once_however_long_the_pace() -> None:
    rig = Rig(pace=0.050)
    rig.create("a")
    await passes(0.2)
    rig.create("b")
    await passes(1)
    assert rig.store.begun == [0.0, 0.2]


# --- taking back ----------------------------------------------------------------------------------


@in_virtual_time
async def test_an_op_can_be_taken_back_until_it_is_written() -> None:
    rig = Rig()
    first = rig.create("a")
    await passes(WRITE / 2)
    second = rig.deliver("a", "1")
    third = rig.deliver("a", "2")
    assert not first.cancel()
    assert second.cancel()
    assert not second.cancel()
    await passes(1)
    assert rig.batches == [["a"], ["a.2"]]
    assert "a.1" not in rig.done
    assert not third.cancel()
    assert (rig.writer.withdrawn, rig.writer.depth) == (1, 0)


@in_virtual_time
async def test_when_the_first_is_taken_back_the_next_takes_its_place() -> None:
    rig = Rig()
    rig.create("x")
    await passes(WRITE / 2)
    first = rig.deliver("a", "1")
    rig.deliver("a", "2")
    assert first.cancel()
    await passes(1)
    assert rig.batches == [["x"], ["a.2"]]


# --- failures -------------------------------------------------------------------------------------


@in_virtual_time
async def test_an_error_goes_to_every_op_of_its_write_and_to_no_other() -> None:
    rig = Rig()
    rig.store.faults = [StoreCorruptError("rotten")]
    rig.create("a")
    rig.create("b")
    await passes(WRITE / 2)
    rig.create("c")
    await passes(1)
    assert rig.errors == {"a": "StoreCorruptError", "b": "StoreCorruptError"}
    assert isinstance(rig.done["c"], Created)


@in_virtual_time
async def test_a_callback_that_raises_harms_no_other() -> None:
    rig = Rig()

    def broken(_result: object) -> None:
        raise KeyError("a bug")

    rig.writer.submit(Create(a_creation("a")), broken, instance_id="a")
    rig.create("b")
    await passes(1)
    assert isinstance(rig.done["b"], Created)
    assert rig.writer.depth == 0


@pytest.mark.parametrize("fault", [FULL, StoreUnavailableError("no route")], ids=lambda e: e.code)
@in_virtual_time
async def test_held_ops_wait_for_room_in_their_order(fault: BaseException) -> None:
    rig = Rig()
    rig.store.faults = [fault] * 4
    rig.create("a", hold=True)
    rig.deliver("a", "1", hold=True)
    rig.create("b")
    await passes(5)
    assert rig.errors == {"b": type(fault).__name__}
    assert rig.batches[-2:] == [["a"], ["a.1"]]
    # The pauses grow: nobody hammers a store that is down.
    gaps = [b - a for a, b in zip(rig.store.begun, rig.store.begun[1:], strict=False)]
    assert gaps[:4] == pytest.approx([WRITE + p for p in (0.05, 0.1, 0.2, 0.4)])


@in_virtual_time
async def test_of_unknown_outcomes_only_deliveries_by_the_owner_are_repeated() -> None:
    """A delivery's key makes it the same row, if nobody else can have taken it meanwhile."""
    rig = Rig()
    rig.create("a")
    await passes(1)
    (fence,) = await rig.store.own([partition_of("a", 8)], "me")
    rig.store.after = True
    rig.store.faults = [OutcomeUnknownError("cut off")]
    rig.deliver("a", "1", hold=True, fence=fence)
    rig.create("b", hold=True)
    rig.create("c")
    rig.deliver("c", "1", hold=True)
    await passes(5)
    rig.store.faults = [OutcomeUnknownError("cut off")]
    rig.deliver("c", "2", hold=True)
    await passes(5)
    assert rig.errors == dict.fromkeys(("b", "c", "c.2"), "OutcomeUnknownError")
    assert rig.done["a.1"] is Delivery.DUPLICATE
    loaded = await rig.store.load("a")
    assert loaded is not None
    assert [item.key for item in loaded.inbox] == ["start", "1"]


@in_virtual_time
async def test_one_that_is_held_and_one_that_fails_leave_their_instance_in_order() -> None:
    rig = Rig()
    rig.create("a")
    await passes(1)
    rig.store.faults = [FULL]
    rig.deliver("a", "1", hold=True)
    rig.deliver("a", "2")
    rig.deliver("a", "3", hold=True)
    await passes(WRITE * 2)
    rig.deliver("a", "4")
    await passes(5)
    assert rig.errors == {"a.2": "StoreFullError"}
    assert rig.batches[-1] == ["a.1", "a.3", "a.4"]
    assert {rig.done[f"a.{n}"] for n in (1, 3, 4)} == {Delivery.DELIVERED}
    assert rig.writer.depth == 0


@in_virtual_time
async def test_a_delivery_that_may_have_happened_is_not_said_to_be_refused() -> None:
    rig = Rig()
    rig.create("a")
    await passes(1)
    (fence,) = await rig.store.own([partition_of("a", 8)], "me")
    rig.store.after = True
    rig.store.faults = [OutcomeUnknownError("cut off")]
    ticket = rig.deliver("a", "1", hold=True, fence=fence)
    await passes(WRITE * 2)
    assert not ticket.cancel()
    await rig.store.own([fence.partition], "another")
    rig.deliver("a", "2", hold=True, fence=fence)
    await passes(5)
    assert rig.errors == {"a.1": "OutcomeUnknownError"}
    assert rig.done["a.2"] == Conflict(fenced=True)


# --- the end --------------------------------------------------------------------------------------


@in_virtual_time
async def test_drain_writes_everything_without_waiting_for_company() -> None:
    rig = Rig(pace=10.0)
    rig.create("a")
    await passes(WRITE / 2)
    rig.create("b")
    rig.deliver("b", "1", linger=LINGER)
    await rig.writer.drain()
    assert rig.batches == [["a"], ["b"], ["b.1"]]
    assert rig.store.loop.time() == pytest.approx(3 * WRITE)


@in_virtual_time
async def test_drain_fails_what_the_store_does_not_take() -> None:
    rig = Rig()
    rig.store.faults = [FULL] * 100
    rig.create("a", hold=True)
    await passes(1)
    assert rig.done == {}
    await rig.writer.drain()
    assert rig.errors == {"a": "StoreFullError"}
    assert rig.writer.depth == 0


@in_virtual_time
async def test_drain_of_an_idle_writer_is_over_at_once() -> None:
    rig = Rig()
    await rig.writer.drain()
    assert rig.batches == []
