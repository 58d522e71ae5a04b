"""A process that writes to a SQLite store until it is killed.  Not a test module.

``python child_writer.py PATH [INSTANCES]`` creates instances and commits turns to them, one write
after the other, each with several ops, and prints a line for every write once it is acknowledged:
the number of turns that each instance has by then.  Nobody asks it to stop.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from integration.store.samples import Hub, a_creation, a_turn, an_item, events
from tenure_sidecar.engine.turn import Message
from tenure_sidecar.store.port import Committed, Create
from tenure_sidecar.store.sqlite import SqliteStore


async def main(path: Path, instances: int) -> None:
    store = SqliteStore(path)
    await store.open()
    hub = Hub(store)
    await hub.own()
    ids = [f"i{n}" for n in range(instances)]
    await hub.write(*(Create(a_creation(one)) for one in ids))
    turn = 0
    while True:
        turn += 1
        ops = []
        for n, one in enumerate(ids):
            # Each turn leaves a trace in three tables: a torn one would show.
            told = Message(ids[(n + 1) % instances], an_item(f"t{turn}"))
            done = (f"t{turn - 1}",) if turn > 1 else ("start",)
            ops.append(
                hub.commit_of(
                    a_turn(
                        one,
                        append=events(f"e{turn}"),
                        history_length=turn,
                        messages=(told,),
                        consumed=done,
                        commit_id=f"{one}/{turn}",
                    )
                )
            )
        results = await hub.write(*ops)
        assert all(isinstance(result, Committed) for result in results)
        print(turn, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3))
