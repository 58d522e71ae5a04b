"""When a loop may leave a look at the store out."""

from __future__ import annotations

from tenure_sidecar.store.calm import Calm
from tenure_sidecar.store.memory import MemoryDatabase, MemoryStore


class Numbered(MemoryStore):
    """A store that says what its revision is."""

    number: int | None = None

    def revision(self) -> int | None:
        return self.number


def test_nothing_new_is_found_at_the_same_revision() -> None:
    store = Numbered(MemoryDatabase())
    calm = Calm(store)
    store.number = 7
    assert [calm.lasts() for _ in range(3)] == [False, True, True]
    store.number = 8
    assert [calm.lasts() for _ in range(2)] == [False, True]


def test_a_store_that_does_not_know_is_looked_at_every_time() -> None:
    store = Numbered(MemoryDatabase())
    calm = Calm(store)
    assert [calm.lasts() for _ in range(3)] == [False] * 3
    store.number = 7
    assert not calm.lasts()
    store.number = None  # what was known is too old
    assert not calm.lasts()
    store.number = 7
    assert not calm.lasts()


def test_a_look_that_failed_is_made_again() -> None:
    store = Numbered(MemoryDatabase())
    store.number = 7
    calm = Calm(store)
    assert not calm.lasts()
    calm.end()
    assert not calm.lasts()
    assert calm.lasts()
