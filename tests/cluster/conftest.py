"""The etcd server that these tests need is built before the first of them."""

from __future__ import annotations

import pytest

from support.etcd import BUILT
from support.kube.fixtures import build_programs, need_programs


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build it, when there is a test that wants it."""
    if any("durable_etcd" in getattr(item, "fixturenames", ()) for item in session.items):
        build_programs(session)


@pytest.fixture
def durable_etcd(request: pytest.FixtureRequest) -> str:
    """The version of a server that keeps what it acknowledged when it is killed (``support.etcd``)."""
    need_programs(request)
    return BUILT
