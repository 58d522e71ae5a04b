"""A process whose disk fails on demand (faulty_disk.c).  Not a test module.

``python child_faulty.py PATH KIND``: commits turns, makes the disk fail in the given way, tries
again, heals it, goes on.  Prints one word for each attempt, ``ok`` or an error's code, and after
each what a read shows: the number of turns.  ``quit`` at the end means: died with the disk failing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import structlog

from integration.store.samples import Hub, a_turn, events
from tenure_common.errors import TenureError
from tenure_sidecar.store.port import Committed
from tenure_sidecar.store.sqlite import SqliteStore


class Trial:
    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.hub = Hub(store)
        self.turn = 0

    async def commit(self) -> None:
        """One more turn; after an unknown outcome, or a lost copy, go on from what is there."""
        try:
            loaded = await self.store.load("a")
            assert loaded is not None
            self.turn = loaded.head.history_length + 1
            turn = a_turn(
                "a",
                append=events(f"e{self.turn}", "x" * 50_000),
                history_length=self.turn,
                commit_id=str(self.turn),
            )
            done = await self.hub.one(self.hub.commit_of(turn, version=loaded.version))
            assert isinstance(done, Committed), done
        except TenureError as error:
            print(error.code, flush=True)
            print(str(error), file=sys.stderr, flush=True)
        else:
            print("ok", self.turn, flush=True)


async def main(path: Path, kind: str, end: str) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    order = Path(os.environ["FAULT_FILE"])
    store = SqliteStore(path)
    await store.open()
    trial = Trial(store)
    await trial.hub.own()
    await trial.hub.create("a")
    await trial.commit()
    await trial.commit()
    order.write_text(kind)
    await trial.commit()
    await trial.commit()
    if end == "quit":
        os._exit(0)
    order.unlink()
    await trial.commit()
    await trial.commit()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
