"""Drives one Python SDK: worker and client in one process, commands in, answers out, as JSON lines.

A command is ``{"id": n, "op": name, …}``; its answer ``{"id": n, "ok": value}`` or ``{"id": n,
"error": {"code", "message"}}``, in any order.  ``open`` starts an app (worker and client of one
engine); every other command names the app it is for.  ``drivers/README.md`` lists the commands.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from activities import MEMORY

OUT = sys.stdout
sys.stdout = sys.stderr  # nothing but answers goes to the pipe
_write = threading.Lock()


def answer(line: dict[str, Any]) -> None:
    """Write one line at a time."""
    text = json.dumps(line)
    with _write:
        OUT.write(text + "\n")
        OUT.flush()


def error_of(error: BaseException) -> dict[str, Any]:
    """What an SDK's exception says: the status code where there is one."""
    if isinstance(error, grpc.RpcError):
        return {"code": error.code().name, "message": error.details() or ""}
    if isinstance(error, TimeoutError):
        return {"code": "TIMEOUT", "message": str(error)}
    if isinstance(error, NotImplementedError):
        return {"code": "UNIMPLEMENTED", "message": str(error)}
    return {"code": type(error).__name__, "message": str(error)}


def memory_command(op: str, key: str) -> Any:
    """Commands about the driver's memory, which every app shares."""
    if op == "count":
        return MEMORY.counts[key]
    if op == "peak":
        return MEMORY.peaks[key]
    if op == "trace":
        return list(MEMORY.traces[key])
    MEMORY.gates[key].set()
    return None


class Driver:
    """The open apps."""

    def __init__(self, adapter: Any) -> None:
        self.adapter = adapter
        self.apps: dict[str, Any] = {}

    def handle(self, command: dict[str, Any]) -> None:
        """Do one command and answer it."""
        number, op = command.pop("id"), command.pop("op")
        try:
            answer({"id": number, "ok": self.do(op, command)})
        except BaseException as error:  # whatever it is, the scenario must see it
            answer({"id": number, "error": error_of(error)})

    def do(self, op: str, command: dict[str, Any]) -> Any:
        """The result of one command."""
        if op in {"count", "peak", "trace", "release"}:
            return memory_command(op, command["key"])
        name = command.pop("app")
        if op == "open":
            self.apps[name] = self.adapter.App(name, **command)
            return None
        app = self.apps[name]
        if op == "close":
            del self.apps[name]
        return getattr(app, op)(**command)


def main() -> None:
    """Read commands until the pipe ends; every command has its own thread."""
    driver = Driver(importlib.import_module(sys.argv[1]))
    with ThreadPoolExecutor(max_workers=128) as pool:
        for line in sys.stdin:
            pool.submit(driver.handle, json.loads(line))
        for app in list(driver.apps.values()):
            pool.submit(app.close)


if __name__ == "__main__":
    main()
