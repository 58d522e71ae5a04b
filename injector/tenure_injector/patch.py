"""The difference of two JSON documents as an RFC 6902 patch.

Small because mutators change little: parts that are the same object are passed over without being
looked at, and list elements are matched by their ``name``, as Kubernetes does, or else from both
ends, so that an inserted element is one ``add``.

The law, checked with generated documents and another implementation of RFC 6902: applying
``diff(a, b)`` to ``a`` gives ``b``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import is_
from typing import Any, Literal, TypedDict, cast

Json = Any


class Operation(TypedDict, total=False):
    """One operation; ``value`` is there unless something is removed."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: Json


def diff(before: Json, after: Json) -> list[Operation]:
    """Operations that turn ``before`` into ``after``, in order."""
    return list(_diff(before, after, ""))


def _diff(before: Json, after: Json, path: str) -> Iterator[Operation]:
    if before is after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _objects(cast("dict[str, Json]", before), cast("dict[str, Json]", after), path)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _lists(_listed(before), _listed(after), path)
    elif not _same(before, after):
        yield {"op": "replace", "path": path, "value": after}


def _objects(before: dict[str, Json], after: dict[str, Json], path: str) -> Iterator[Operation]:
    for key in before:
        if key not in after:
            yield {"op": "remove", "path": f"{path}/{_escaped(key)}"}
    for key, value in after.items():
        if key not in before:
            yield {"op": "add", "path": f"{path}/{_escaped(key)}", "value": value}
        elif before[key] is not value:
            yield from _diff(before[key], value, f"{path}/{_escaped(key)}")


def _lists(before: Sequence[Json], after: Sequence[Json], path: str) -> Iterator[Operation]:
    added = _added(before, after)
    if added is not None:
        for index in added:
            yield {"op": "add", "path": f"{path}/{index}", "value": after[index]}
        return
    old, new = _names(before), _names(after)
    if old is None or new is None or [n for n in old if n in new] != [n for n in new if n in old]:
        yield from _positions(before, after, path)
        return
    for name, index in reversed(old.items()):  # from behind: earlier indexes stay what they are
        if name not in new:
            yield {"op": "remove", "path": f"{path}/{index}"}
    for name, index in new.items():
        if name in old:
            yield from _diff(before[old[name]], after[index], f"{path}/{index}")
        else:
            yield {"op": "add", "path": f"{path}/{index}", "value": after[index]}


def _added(before: Sequence[Json], after: Sequence[Json]) -> range | None:
    """Where elements were put in, if at the end or at the front and nothing else was done.

    That is what mutators mostly do to long lists, and seen without a look at the elements.
    """
    more = len(after) - len(before)
    if more >= 0 and all(map(is_, before, after)):
        return range(len(before), len(after))
    if more >= 0 and all(map(is_, before, after[more:])):
        return range(more)
    return None


def _names(elements: Sequence[Json]) -> dict[str, int] | None:
    """Name to index, None unless every element has a name of its own."""
    found: dict[str, int] = {}
    for index, element in enumerate(elements):
        mine = cast("dict[str, Json]", element) if isinstance(element, dict) else {}
        name = mine.get("name")
        if not isinstance(name, str) or name in found:
            return None
        found[name] = index
    return found


def _positions(before: Sequence[Json], after: Sequence[Json], path: str) -> Iterator[Operation]:
    shorter = min(len(before), len(after))
    start = 0
    while start < shorter and _same(before[start], after[start]):
        start += 1
    end = 0
    while end < shorter - start and _same(before[-1 - end], after[-1 - end]):
        end += 1
    old, new = len(before) - end, len(after) - end  # where the equal ends begin
    common = min(old, new)
    for index in range(start, common):
        yield from _diff(before[index], after[index], f"{path}/{index}")
    for index in range(old - 1, common - 1, -1):
        yield {"op": "remove", "path": f"{path}/{index}"}
    for index in range(common, new):
        yield {"op": "add", "path": f"{path}/{index}", "value": after[index]}


def _same(before: Json, after: Json) -> bool:
    """Equality as JSON has it: 1, 1.0 and true are three values."""
    if before is after:
        return True
    if type(before) is not type(after):
        return False
    if isinstance(before, dict):
        other = cast("dict[str, Json]", after)
        mine = cast("dict[str, Json]", before)
        return mine.keys() == other.keys() and all(_same(v, other[k]) for k, v in mine.items())
    if isinstance(before, list):
        old, new = _listed(before), _listed(after)
        return len(old) == len(new) and all(map(_same, old, new))
    return bool(before == after)


def _listed(value: Json) -> list[Json]:
    return value  # type: ignore[no-any-return]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
