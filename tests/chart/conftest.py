"""helm, and the chart as each of its example values makes it."""

from __future__ import annotations

import pytest

from support.helm import EXAMPLES, Helm, Json, example
from support.kube.fixtures import helm, pytest_collection_finish

__all__ = ["helm", "pytest_collection_finish"]


@pytest.fixture(scope="session")
def rendered(helm: Helm) -> dict[str, list[Json]]:
    """Example to objects."""
    return {name: helm.template(*example(name)) for name in EXAMPLES}


@pytest.fixture(params=EXAMPLES)
def objects(request: pytest.FixtureRequest, rendered: dict[str, list[Json]]) -> list[Json]:
    """The objects of each example in turn."""
    return rendered[request.param]
