"""Differences as RFC 6902 patches: that they are right and that they are small.

Generated documents are in tests/property/injector.  The patches are applied by an implementation
that is not ours.
"""

from __future__ import annotations

from typing import Any

import jsonpatch
import pytest

from tenure_injector.patch import diff


@pytest.mark.parametrize(
    ("before", "after", "operations"),
    [
        pytest.param({"a": 1}, {"a": 1}, [], id="same"),
        pytest.param({}, {"a": 1}, [("add", "/a", 1)], id="key-added"),
        pytest.param({"a": 1}, {}, [("remove", "/a")], id="key-removed"),
        pytest.param({"a": 1}, {"a": 2}, [("replace", "/a", 2)], id="value"),
        pytest.param({"a": 1}, {"a": None}, [("replace", "/a", None)], id="null"),
        pytest.param({"a": None}, {"a": [1]}, [("replace", "/a", [1])], id="null-to-list"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": 2}}, [("replace", "/a/b", 2)], id="deep"),
        pytest.param({"a": True}, {"a": 1}, [("replace", "/a", 1)], id="true-is-not-1"),
        pytest.param({"a": 1.0}, {"a": 1}, [("replace", "/a", 1)], id="1.0-is-not-1"),
        pytest.param({}, {"a/b~c": 1}, [("add", "/a~1b~0c", 1)], id="escapes"),
        pytest.param({}, {"": 1}, [("add", "/", 1)], id="empty-key"),
        pytest.param([1, 2], [0, 1, 2], [("add", "/0", 0)], id="list-front"),
        pytest.param([1, 2], [1, 2, 3], [("add", "/2", 3)], id="list-end"),
        pytest.param([1, 3], [1, 2, 3], [("add", "/1", 2)], id="list-middle"),
        pytest.param([1, 2, 3], [1, 3], [("remove", "/1")], id="list-shorter"),
        pytest.param([1, 2, 3], [], [("remove", f"/{n}") for n in (2, 1, 0)], id="list-emptied"),
        pytest.param(
            [{"n": "a", "v": 1}, {"n": "b"}],
            [{"n": "a", "v": 2}, {"n": "b"}],
            [("replace", "/0/v", 2)],
            id="element-changed",
        ),
        pytest.param([1, 1, 1], [1, 1], [("remove", "/2")], id="equal-elements"),
        pytest.param([[1]], [[1], [1]], [("add", "/1", [1])], id="equal-lists"),
        pytest.param({"a": 1}, [1], [("replace", "", [1])], id="root"),
        pytest.param(
            [{"name": "a", "v": 1}, {"name": "b"}],
            [{"name": "c"}, {"name": "a", "v": 2}],
            [("remove", "/1"), ("add", "/0", {"name": "c"}), ("replace", "/1/v", 2)],
            id="by-name",
        ),
        pytest.param(
            [{"name": "a"}, {"name": "b"}],
            [{"name": "b"}, {"name": "a"}],
            [("replace", "/0/name", "b"), ("replace", "/1/name", "a")],
            id="names-in-another-order",
        ),
        pytest.param(
            [{"name": "a", "v": 1}],
            [{"name": "a", "v": 2}, {"name": "a", "v": 1}],
            [("add", "/0", {"name": "a", "v": 2})],
            id="one-name-twice",
        ),
    ],
)
def test_diff(before: Any, after: Any, operations: list[tuple[Any, ...]]) -> None:
    found = diff(before, after)
    assert [tuple(one.values()) for one in found] == operations
    assert jsonpatch.apply_patch(before, list(found)) == after


def test_what_is_the_same_object_is_not_looked_at() -> None:
    class Untouchable(dict[str, Any]):
        def keys(self) -> Any:
            raise AssertionError

        def __iter__(self) -> Any:
            raise AssertionError

        def __eq__(self, other: object) -> bool:
            raise AssertionError

        __hash__ = None  # type: ignore[assignment]

    shared = Untouchable()
    assert diff({"a": shared, "b": [shared]}, {"a": shared, "b": [shared, 1]}) == [
        {"op": "add", "path": "/b/1", "value": 1}
    ]
