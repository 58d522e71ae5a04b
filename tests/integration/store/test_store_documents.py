"""Documents: compare and swap, listing by prefix, durability.

Out of scope: what is in them.
"""

from __future__ import annotations

import asyncio

from tenure_sidecar.store.port import Store


async def test_a_document_comes_back(store: Store) -> None:
    version = await store.put("job/a", b"\x00one", version=0)
    assert version is not None
    assert version > 0
    (document,) = await store.documents("job/")
    assert (document.key, document.version, document.body) == ("job/a", version, b"\x00one")


async def test_only_the_named_version_is_replaced(store: Store) -> None:
    first = await store.put("k", b"1", version=0)
    assert await store.put("k", b"x", version=0) is None
    assert first is not None
    second = await store.put("k", b"2", version=first)
    assert second is not None
    assert second > first
    assert await store.put("k", b"x", version=first) is None
    assert [one.body for one in await store.documents("")] == [b"2"]


async def test_what_is_not_there_has_version_0(store: Store) -> None:
    assert await store.put("k", b"1", version=7) is None
    assert await store.put("k", None, version=7) is None
    assert await store.put("k", None, version=0) == 0
    assert await store.documents("") == []


async def test_a_deleted_key_never_has_an_old_version_again(store: Store) -> None:
    first = await store.put("k", b"1", version=0)
    assert first is not None
    assert await store.put("k", None, version=first) == 0
    again = await store.put("k", b"1", version=0)
    assert again is not None
    assert again > first
    assert await store.put("k", b"late", version=first) is None


async def test_documents_by_prefix_in_order(store: Store) -> None:
    for key in ("b/2", "a/9", "b/1", "b", "b0"):
        await store.put(key, b"", version=0)
    assert [one.key for one in await store.documents("b/")] == ["b/1", "b/2"]
    assert [one.key for one in await store.documents("")] == ["a/9", "b", "b/1", "b/2", "b0"]
    assert await store.documents("c") == []


async def test_of_many_at_once_one_wins(store: Store) -> None:
    outcomes = await asyncio.gather(
        *(store.put("k", str(n).encode(), version=0) for n in range(10))
    )
    assert sum(outcome is not None for outcome in outcomes) == 1
    (document,) = await store.documents("")
    assert document.body == str(next(n for n, o in enumerate(outcomes) if o is not None)).encode()


async def test_documents_are_durable(store: Store) -> None:
    version = await store.put("k", b"1", version=0)
    await store.close()
    await store.open()
    (document,) = await store.documents("k")
    assert document.version == version
