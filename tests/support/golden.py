"""Golden records and databases: what each released format looked like, kept for ever.

``cd tests && python -m support.golden`` writes those of the present format, and never over an
existing file: a golden file is what a version wrote, not what this one would write.

The workflows are left in the middle by a worker that does not take the activity ``late``.  Whoever
reads the files connects one that does, and must see them end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import msgspec

from support.by_hand import takes
from support.one_engine import OneEngine
from support.toy import ActivityError, Again, All, Call, Child, Event, Sleep
from tenure_sidecar.engine import codec
from tenure_sidecar.engine.events import Status
from tenure_sidecar.ids import SystemIds
from tenure_sidecar.store.sqlite import SqliteStore
from tenure_sidecar.store.sqlite.schema import VERSION
from unit.engine.test_codec import EVERY_EVENT, FULL_HEAD

ROOT = Path(__file__).resolve().parents[2]
HISTORIES = ROOT / "tests" / "data" / "histories"
STORES = ROOT / "tests" / "data" / "stores"

Steps = Generator[Any, Any, Any]


def chain(given: str | None) -> Steps:
    first = yield Call("add", given)
    second = yield Call("late", first)
    return f"{first}+{second}"


def fan(_given: str | None) -> Steps:
    results = yield All([*(Call("add", str(n)) for n in range(3)), Call("late", "3"), Sleep(0.01)])
    return ",".join(str(one) for one in results)


def nap(given: str | None) -> Steps:
    yield Sleep(float(given or "1"))
    return "awake"


def ask(_given: str | None) -> Steps:
    first = yield Event("answer")
    yield Call("late", "x")
    second = yield Event("Answer")
    return f"{first},{second}"


def family(_given: str | None) -> Steps:
    results = yield All([Child("chain", "c", "child"), Child("chain", "d")])
    return ",".join(results)


def loop(given: str | None) -> Steps:
    left = int(given or "4")
    if left:
        yield Call("add", given)
        return Again(str(left - 1))
    yield Call("late", "0")
    return "looped"


def flat(given: str | None) -> Steps:
    yield Call("add", given)
    return given


def fails(given: str | None) -> Steps:
    yield Call("broken", given)


WORKFLOWS = {one.__name__: one for one in (chain, fan, nap, ask, family, loop, flat, fails)}
ACTIVITIES = {"add": lambda given: given, "late": lambda given: given}

OUTPUTS = {
    "chain": "c+c",
    "fan": "0,1,2,3,None",
    "nap": "awake",
    "ask": "one,two",
    "family": "c+c,d+d",
    "loop": "looped",
    "suspended": "c+c",
    "stalled": "c+c",
}
ENDED = {"flat": Status.COMPLETED, "fails": Status.FAILED, "terminated": Status.TERMINATED}


def records() -> dict[str, dict[str, Any]]:
    """Each kind of record: its stored bytes, hexadecimal, and what they mean."""
    made: dict[str, dict[str, Any]] = {
        "Head": {"stored": codec.encode_head(FULL_HEAD).hex(), "means": plain(FULL_HEAD)}
    }
    for event in EVERY_EVENT:
        made[type(event).__name__] = {
            "stored": codec.encode_event(event).hex(),
            "means": plain(event),
        }
    return made


def plain(record: msgspec.Struct) -> dict[str, Any]:
    """The fields that are set, by name, as JSON has them."""
    made: dict[str, Any] = {}
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, msgspec.Struct):
            made[field.name] = plain(value)
        elif value not in (field.default, None, {}):
            made[field.name] = json.loads(msgspec.json.encode(value))
    return made


async def engine(path: Path) -> tuple[OneEngine, SqliteStore]:
    """A real engine on the database, without workers."""
    store = SqliteStore(path) if path.exists() else SqliteStore(path, partitions=8)
    await store.open()
    one = OneEngine(workflows=WORKFLOWS, activities=ACTIVITIES, store=store, ids=SystemIds())
    await one.start(workers=0)
    return one, store


async def make_database(path: Path) -> None:
    """A database with workflows in every state there is."""
    one, store = await engine(path)
    await fill(one)
    await store.close()


async def fill(one: OneEngine) -> None:
    """Bring workflows into every state there is, and stop."""
    one.activities = {**ACTIVITIES, "broken": _broken}
    one.connect(hello=takes(activities=["add", "broken"]))
    for name in ("chain", "fan", "nap", "ask", "family", "loop"):
        await one.begin(name, {"nap": "3", "loop": "4"}.get(name, "c"), instance_id=name)
    await one.begin("chain", "c", instance_id="suspended")
    await one.begin("chain", "c", instance_id="terminated")
    await one.begin("chain", "c", instance_id="stalled")
    await one.begin("flat", "f", instance_id="flat")
    await one.begin("fails", "f", instance_id="fails")
    await one.finish("flat", within=10)
    await one.operations.raise_event("ask", "ANSWER", "one")
    await one.operations.suspend("suspended", '"look"')
    await one.operations.terminate("terminated", '"enough"', recurse=False)
    while one.dispatcher.queued != (0, 8):
        await asyncio.sleep(0.01)
    stalled = one.host.resident("stalled")
    assert stalled is not None
    stalled.stall(size=5_000_000, limit=4_194_304)
    one.workers[0].die()
    await one.operations.raise_event("ask", "answer", "two")
    await one.operations.raise_event("suspended", "kept", None)
    await one.host.stop()


async def goes_on(one: OneEngine) -> None:
    """Assert that workflows that were left by ``fill`` are as they were, and go on to their ends."""
    for instance_id, status in ENDED.items():
        head = await one.operations.head(instance_id)
        assert head is not None
        assert head.status is status
    for instance_id, status in (("suspended", Status.SUSPENDED), ("stalled", Status.STALLED)):
        head = await one.operations.head(instance_id)
        assert head is not None
        assert head.status is status
    worker = one.connect()
    await one.operations.resume("suspended", None)
    for instance_id, output in OUTPUTS.items():
        assert await one.finish(instance_id, within=60) == output
    assert [name for _, name in worker.effects].count("add") == 0, "a finished activity ran again"


def _broken(_given: str | None) -> str:
    raise ActivityError("broken")


def main() -> None:
    """Write the files of the present format that are not there yet."""
    HISTORIES.mkdir(parents=True, exist_ok=True)
    STORES.mkdir(parents=True, exist_ok=True)
    history = HISTORIES / f"format-{codec.FORMAT}.json"
    if not history.exists():
        history.write_text(json.dumps(records(), indent=1, ensure_ascii=False) + "\n")
        print(f"wrote {history.relative_to(ROOT)}")
    database = STORES / f"schema-{VERSION}.db"
    if not database.exists():
        asyncio.run(make_database(database))
        for beside in STORES.glob(f"{database.name}?*"):
            beside.unlink()
        print(f"wrote {database.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
