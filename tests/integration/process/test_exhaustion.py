"""A real engine process that runs out of files, and comes back (F27).

In scope: new connections wait or are refused, work on the connections there are goes on, and nothing
has to be started again.  Out of scope: a full disk (test_bad_input.py).
"""

from __future__ import annotations

import contextlib
import resource
import socket
import sys
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from support.by_wire import Client, Worker
from support.engine import EngineProcess

SPARE = 8  # files that the engine may still open
CROWD = 60  # connections that want one each

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sets limits of another process")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    engine = EngineProcess(tmp_path)
    engine.start()
    yield engine
    engine.close()


def answers(engine: EngineProcess) -> bool:
    with contextlib.suppress(OSError):
        asked = urllib.request.urlopen(engine.http_url + "/v1.0/healthz", timeout=1)  # noqa: S310
        with asked as answer:
            return bool(answer.status == 204)
    return False


@contextlib.contextmanager
def crowd(port: int) -> Generator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(CROWD):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        yield


@pytest.mark.parametrize("listener", ["http_port", "grpc_port", "taskhub_port"])
def test_without_files_left_work_goes_on_and_the_engine_comes_back(
    engine: EngineProcess, listener: str
) -> None:
    with Client(engine.taskhub_address) as client, Worker(client) as worker:
        client.start("before")
        opened = len(list(Path(f"/proc/{engine.pid}/fd").iterdir()))
        limits = opened + SPARE, opened + SPARE
        resource.prlimit(engine.pid, resource.RLIMIT_NOFILE, limits)
        with crowd(getattr(engine, listener)):
            while answers(engine):
                continue
            worker.complete(worker.turn("before"), "fine")
            client.start("within")
            worker.complete(worker.turn("within"), "fine too")
            assert client.output("before") == "fine"
            assert client.output("within") == "fine too"
        while not answers(engine):
            continue
        with Client(engine.taskhub_address) as another:
            another.start("after")
            worker.complete(worker.turn("after"), "fine as well")
            assert another.output("after") == "fine as well"
