"""Test processes that run at once never get the same port, also while nobody listens on it."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from support.engine import EngineProcess
from support.ports import Ports

PORTS = range(15_000, 15_060)
Make = Callable[[int], Ports]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes what one process has, with so many ports in a block."""
    with ExitStack() as stack:
        yield lambda block: stack.enter_context(closing(Ports(tmp_path, ports=PORTS, block=block)))


def test_two_processes_share_no_port(make: Make) -> None:
    processes = [make(10) for _ in range(3)]
    given = [port for _ in range(5) for process in processes for port in process.take(4)]
    assert len(set(given)) == len(given) == 60


def test_a_port_comes_again_when_all_were_given(make: Make) -> None:
    one, two = make(20), make(20)
    hers = set(two.take(20))
    first = one.take(40)
    assert len(set(first)) == 40
    assert one.take(40) == first
    assert not hers & set(first)


def test_whoever_comes_too_late_is_told(make: Make) -> None:
    one = make(60)
    one.take(1)
    with pytest.raises(RuntimeError, match="lsof"):
        make(60).take(1)


def test_what_a_process_that_is_over_had_is_given_again(make: Make) -> None:
    ports = make(60)
    ports.take(1)
    ports.close()
    assert make(60).take(60)


def test_a_port_on_which_somebody_listens_is_left_out(make: Make) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", PORTS[7]))
        taken.listen()
        assert PORTS[7] not in make(60).take(59)


def test_engines_have_ports_of_their_own(tmp_path: Path) -> None:
    engines = [EngineProcess(tmp_path) for _ in range(50)]
    ports = [(e.grpc_port, e.taskhub_port, e.http_port, e.health_port) for e in engines]
    assert len(set(itertools.chain(*ports))) == 200
