"""The demo: a stock Dapr app, an engine that is killed in the middle of its work, and a count.

Twenty orders run through ``order-processing-dapr`` under ``tenure dev``.  Twice, at a moment when
work is in flight (the app's own effect log tells), the engine is killed with SIGKILL and started
again on the same database.  At the end every step of every order is counted in the effect log,
by its idempotency key, and compared with what should have happened.

The exit status is 0 when nothing was lost and nothing counted twice, else 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
APP = ROOT / "examples" / "order-processing-dapr"
PATIENCE = 90.0  # seconds until a demo that hangs is given up
APPROVAL_FROM = 500  # total from which an order waits for a human, as in the app's workflows.py

Order = dict[str, Any]
Effect = dict[str, Any]
console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


# The environment of the app.


def app_python() -> str:
    """The interpreter with the app's SDK, in the user's cache; installed when it is missing."""
    wanted = (APP / "requirements.txt").read_bytes()
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "tenure" / "examples" / f"shop-{hashlib.sha256(wanted).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    done = folder / "complete"
    if done.exists():
        return str(python)
    shutil.rmtree(folder, ignore_errors=True)
    with console.status("installing the stock Dapr SDK for the app (once, about half a minute)"):
        run(sys.executable, "-m", "venv", str(folder))
        pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run(*pip, "--requirement", str(APP / "requirements.txt"))
    done.touch()
    console.print(f"installed the app's SDK into {folder}")
    return str(python)


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """Run a command to its end; its output.  Raises DemoError when it fails."""
    done = subprocess.run(
        command, cwd=APP, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        text = f"{done.stdout}{done.stderr}".strip()
        message = f"'{' '.join(command)}' failed with status {done.returncode}:\n{text[-2000:]}"
        raise DemoError(message)
    return done.stdout


# What the shop sells, and what must have happened when all is done.


def orders(count: int) -> list[Order]:
    """``count`` orders: every third is large, every seventh has an expired card."""
    shelf = ("tea", "cups", "kettle", "lamp", "rug")
    return [
        {
            "id": f"order-{n:02}",
            "items": [shelf[(n + k) % len(shelf)] for k in range(2 + n % 3)],
            "total": APPROVAL_FROM + n if n % 3 == 0 else 20 + n,
            "card": "expired" if n % 7 == 0 else "valid",
        }
        for n in range(1, count + 1)
    ]


def refused(order: Order) -> bool:
    """Whether the demo's human says no: the first large order."""
    return bool(order["id"] == "order-03")


def expected(placed: Sequence[Order]) -> Counter[str]:
    """How often each step must be counted, written without a look at the workflow's code."""
    steps: Counter[str] = Counter()
    for order in placed:
        items = len(order["items"])
        steps["reserve item"] += items
        large = order["total"] >= APPROVAL_FROM
        steps["ask for approval"] += large
        if large and refused(order):
            steps["release item"] += items
        elif order["card"] == "expired":
            steps["decline card"] += 1
            steps["release item"] += items
        else:
            for step in ("charge card", "print label", "hand over", "confirm order"):
                steps[step] += 1
    return steps


def outcome(order: Order) -> str:
    """The status that the order must end with."""
    if order["total"] >= APPROVAL_FROM and refused(order):
        return "rejected"
    return "card declined" if order["card"] == "expired" else "shipped"


# The processes.


class Demo:
    """One run in a folder of its own."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self.python = python
        self.effects_file = folder / "effects.jsonl"
        self.effects_file.touch()
        self.grpc, self.taskhub, self.http = (free_port() for _ in range(3))
        self.began = time.monotonic()
        self.engine: subprocess.Popen[str] | None = None
        self.app: subprocess.Popen[str] | None = None
        self.environment = {
            **os.environ,
            "DAPR_GRPC_PORT": str(self.grpc),
            "DAPR_HTTP_PORT": str(self.http),
            "EFFECT_LOG": str(self.effects_file),
        }

    def say(self, who: str, text: str, style: str = "") -> None:
        """One line of the timeline."""
        seconds = time.monotonic() - self.began
        line = f"[dim]{seconds:5.1f} s[/]  [{style or 'default'}]{who:<7}{text}[/]"
        console.print(line)

    def start_engine(self) -> float:
        """Start ``tenure dev`` and wait until it is ready; seconds that it took."""
        command = [
            *(sys.executable, "-m", "tenure_sidecar", "dev", "--app-id", "shop"),
            *("--store", f"sqlite:{self.folder / 'tenure.db'}"),
            *("--grpc-port", str(self.grpc), "--taskhub-port", str(self.taskhub)),
            *("--http-port", str(self.http)),
        ]
        begun = time.monotonic()
        self.engine = self._start("engine", command)
        return time.monotonic() - begun

    def start_app(self) -> None:
        """Start the app and wait until its worker is connected."""
        self.app = self._start("app", [self.python, "app.py"])

    def _start(self, name: str, command: list[str]) -> subprocess.Popen[str]:
        log = self.folder / f"{name}.log"
        with log.open("a") as errors:
            process = subprocess.Popen(
                command,
                cwd=APP,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        if process.stdout is None or not process.stdout.readline():
            tail = "\n".join(log.read_text().splitlines()[-20:])
            message = f"the {name} did not start (status {process.wait()}):\n{tail}"
            raise DemoError(message)
        return process

    def kill_engine(self) -> None:
        """SIGKILL: no goodbye, nothing flushed."""
        if self.engine is not None:
            self.engine.send_signal(signal.SIGKILL)
            self.engine.wait()

    def close(self) -> None:
        """End what still runs."""
        for process in (self.app, self.engine):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    def shop(self, *arguments: str) -> list[str]:
        """Run the app's own client."""
        return run(self.python, "shop.py", *arguments, environment=self.environment).splitlines()

    def effects(self) -> list[Effect]:
        """All whole lines of the effect log."""
        lines = self.effects_file.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def wait_for_worker(self) -> None:
        """Wait until the engine says that a worker is connected.  Raises DemoError."""
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            url = f"http://127.0.0.1:{self.http}/v1.0/metadata"
            with urllib.request.urlopen(url, timeout=PATIENCE) as page:
                if json.load(page)["workflows"]["connectedWorkers"]:
                    return
            time.sleep(0.02)
        message = f"the app did not come back within {PATIENCE:.0f} s"
        raise DemoError(message)

    def watch(self, what: str, reached: Callable[[list[Effect]], bool]) -> list[Effect]:
        """Follow the effect log until ``reached``.  Raises DemoError when it never is."""
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            found = self.effects()
            if reached(found):
                return found
            if self.app is not None and self.app.poll() is not None:
                message = "the app ended by itself"
                raise DemoError(message)
            time.sleep(0.005)  # look again: a file has no other way to say that it grew
        message = f"{what}: not reached within {PATIENCE:.0f} s; logs are in {self.folder}"
        raise DemoError(message)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def steps(effects: Sequence[Effect], name: str) -> int:
    """Different steps of one kind in the log."""
    return len({effect["key"] for effect in effects if effect["step"] == name})


# The story.


def kill_and_restart(demo: Demo, effects: Sequence[Effect]) -> None:
    """Kill the engine right after an effect, before its step can have been reported back."""
    last = effects[-1]
    demo.kill_engine()
    what = f"{last['step']} of {last['order']}"
    demo.say("engine", f"KILLED (SIGKILL) while '{what}' is under way", "bold red")
    took = demo.start_engine()
    demo.say("engine", f"started again on the same database, ready in {took:.2f} s", "bold green")
    demo.wait_for_worker()
    demo.say("app", "reconnected by itself; orders go on where they were")


def story(demo: Demo, placed: list[Order]) -> list[dict[str, Any]]:
    """Everything that happens; returns how each order ended."""
    large = [order for order in placed if order["total"] >= APPROVAL_FROM]
    took = demo.start_engine()
    demo.say("engine", f"ready in {took:.2f} s: one process, one SQLite file", "green")
    demo.start_app()
    demo.say("app", "connected: a stock Dapr Workflow app, it knows nothing of Tenure")

    file = demo.folder / "orders.jsonl"
    file.write_text("".join(json.dumps(order) + "\n" for order in placed))
    demo.shop("place", str(file))
    demo.say("client", f"placed {len(placed)} orders; {len(large)} of them need approval")

    most = sum(len(order["items"]) for order in placed) * 4 // 5
    found = demo.watch("reservations", lambda now: steps(now, "reserve item") >= most)
    demo.say("app", f"{len(found)} steps executed so far")
    kill_and_restart(demo, found)

    demo.watch("approvals", lambda now: steps(now, "ask for approval") == len(large))
    for order in large:
        demo.shop("approve", order["id"], "no" if refused(order) else "yes")
    demo.say("client", f"approved {len(large) - 1} large orders, refused one")

    ship = expected(placed)["hand over"]
    found = demo.watch("shipping", lambda now: steps(now, "hand over") > ship // 3)
    demo.say("app", f"{len(found)} steps executed so far")
    kill_and_restart(demo, found)

    ended = [json.loads(line) for line in demo.shop("wait", *(order["id"] for order in placed))]
    tally = Counter(one.get("status", one["state"]) for one in ended)
    demo.say("client", "all ended: " + ", ".join(f"{n} {what}" for what, n in tally.items()))
    return ended


def verdict(
    placed: Sequence[Order], ended: Sequence[dict[str, Any]], effects: Sequence[Effect]
) -> tuple[Table, list[str]]:
    """The count per step, and everything that is wrong."""
    wrong: list[str] = []
    table = Table(title="what the app really did, from its own effect log", min_width=78)
    table.add_column("step")
    for title in ("expected", "executed", "counted once", "repeats"):
        table.add_column(title, justify="right")
    table.add_column("")
    want = expected(placed)
    for step in [*want, *sorted({effect["step"] for effect in effects} - want.keys())]:
        lines = [effect for effect in effects if effect["step"] == step]
        keys = {effect["key"] for effect in lines}
        things = {(effect["order"], effect["item"]) for effect in lines}
        good = len(keys) == len(things) == want[step]
        if not good:
            lost = len(things) < want[step]
            wrong.append(f"{step}: {'something was lost' if lost else 'counted twice'}")
        table.add_row(
            step,
            str(want[step]),
            str(len(lines)),
            str(len(keys)),
            str(len(lines) - len(keys)),
            "[green]ok[/]" if good else "[bold red]WRONG[/]",
        )
    status = {one["order"]: one.get("status", one["state"]) for one in ended}
    for order in placed:
        if status.get(order["id"]) != outcome(order):
            message = f"{order['id']} ended '{status.get(order['id'])}', not '{outcome(order)}'"
            wrong.append(message)
    return table, wrong


@contextmanager
def workspace(*, keep: bool) -> Iterator[Path]:
    """A folder for the database and the logs; removed unless the demo failed or ``keep``."""
    folder = Path(tempfile.mkdtemp(prefix="tenure-demo-"))
    try:
        yield folder
    except BaseException:
        keep = True
        raise
    finally:
        if keep:
            console.print(f"database, logs and effects are in {folder}")
        else:
            shutil.rmtree(folder)


def main(arguments: Sequence[str]) -> int:
    """Tell the story, then count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--orders", type=int, default=20, help="how many orders (default 20)")
    parser.add_argument("--keep", action="store_true", help="keep the database and the logs")
    options = parser.parse_args(arguments)
    if options.orders < 3:  # noqa: PLR2004 - the order that is refused is the third
        parser.error("--orders must be 3 or more")
    try:
        return play(orders(options.orders), keep=options.keep)
    except DemoError as error:
        console.print(f"[bold red]The demo failed:[/] {escape(str(error))}")
        return 1


def play(placed: list[Order], *, keep: bool) -> int:
    """The whole demo; the exit status.  Raises DemoError when it could not come to its end."""
    python = app_python()
    with workspace(keep=keep) as folder:
        demo = Demo(folder, python)
        try:
            ended = story(demo, placed)
            effects = demo.effects()
        finally:
            demo.close()
    table, wrong = verdict(placed, ended, effects)
    console.print()
    console.print(table)
    if wrong:
        for line in wrong:
            console.print(f"[bold red]WRONG[/] {line}")
        return 1
    repeats = len(effects) - len({effect["key"] for effect in effects})
    console.print(
        f"[bold green]Nothing lost, nothing counted twice.[/] {len(placed)} orders, "
        f"{len(effects) - repeats} steps, the engine killed twice in the middle."
    )
    if repeats:
        console.print(
            f"{repeats} steps were with the app when the engine died, and ran again with the same\n"
            "idempotency key: activities run at least once, and the key lets you count them once."
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
