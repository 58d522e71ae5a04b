"""An operator at work: engine, app and operator as processes, beside a real API server.

The engine is ``tenure dev``; its management API is the one that a gateway serves.  It serves one app,
so an operator here has one namespace.
"""

from __future__ import annotations

import json
import secrets
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import yaml

from conformance.sdks import SDKS
from support.engine import EngineProcess
from support.kube.controlplane import ControlPlane
from support.kube.kubectl import Kubectl
from support.kube.operator_process import OperatorProcess, operator_process
from support.kube.processes import Program
from support.sdks import environment

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "operator" / "rbac.yaml"
HOME = "tenure-system"  # the namespace that the rules are written for
ACCOUNT = "tenure-operator"
PATIENCE = 180.0  # seconds; a bound for what is broken, not a target


def until(what: str, found: Callable[[], Any]) -> Any:
    """What ``found`` returns as soon as it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (result := found()):
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
        time.sleep(0.05)
    return result


@contextmanager
def at_work(control_plane: ControlPlane, folder: Path, app: Path) -> Generator[Rig]:
    """Engine, app and one operator."""
    rig = Rig(control_plane, folder, app)
    try:
        rig.start()
        rig.operator().ready()
        yield rig
    finally:
        rig.close()


def rules(home: str) -> list[dict[str, Any]]:
    """What the operator needs in the cluster, for an operator that lives in namespace ``home``."""
    objects = list(yaml.safe_load_all(RULES.read_text(encoding="utf-8").replace(HOME, home)))
    for one in objects:
        if one["kind"].startswith("Cluster"):
            one["metadata"]["name"] = f"{ACCOUNT}-{home}"
        if one["kind"] == "ClusterRoleBinding":
            one["roleRef"]["name"] = f"{ACCOUNT}-{home}"
    return objects


def app_process(app: Path, engine: EngineProcess, folder: Path) -> Program:
    """A stock app with the Microsoft SDK, started and connected to the engine."""
    sdk = next(one for one in SDKS if one.key == "ms-py")
    python = environment(sdk).command[0]
    process = Program("app", [python, app, engine.taskhub_address], log=folder / "app.log")
    process.start()
    process.wait_until("connected", engine.workers, within=PATIENCE)
    return process


class Rig:
    """One app ``orders``, its engine, and operators of the namespace that it runs in."""

    def __init__(self, control_plane: ControlPlane, folder: Path, app: Path) -> None:
        self.control_plane = control_plane
        self.namespace = f"shop-{secrets.token_hex(3)}"
        self.home = f"tenure-{secrets.token_hex(3)}"
        self.kubectl: Kubectl = control_plane.kubectl.using("-n", self.namespace)
        self.engine = EngineProcess(folder, app_id="orders")
        self._app = app
        self._process: Program | None = None
        self._folder = folder
        self.operators: list[OperatorProcess] = []

    def start(self) -> None:
        """Start the engine and the app; the rules are installed, and no operator runs."""
        for name in (self.namespace, self.home):
            self.control_plane.kubectl("create", "namespace", name)
        self.control_plane.kubectl.apply(*rules(self.home))
        self.engine.start()
        self._process = app_process(self._app, self.engine, self._folder)

    def operator(
        self, name: str = "operator", *, api: str = "", gateway: str = "", **settings: str
    ) -> OperatorProcess:
        """An operator that is not started yet; ``api`` and ``gateway`` are URLs of proxies."""
        operator = operator_process(
            self._folder,
            kubeconfig=self.control_plane.account_kubeconfig(self.home, ACCOUNT, through=api),
            gateway=f"{gateway or self.engine.http_url}/v1alpha1",
            lease=self.home,
            name=name,
            namespaces=self.namespace,
            **settings,
        )
        self.operators.append(operator)
        return operator

    def status(self, name: str, kind: str = "workflow") -> dict[str, Any]:
        """The status of a resource."""
        return dict(self.kubectl.get(kind, name).get("status", {}))

    def reaches(self, name: str, phase: str, kind: str = "workflow") -> dict[str, Any]:
        """Wait for a phase; the status then."""

        def there() -> dict[str, Any] | None:
            found = self.status(name, kind)
            return found if found.get("phase") == phase else None

        try:
            return dict(until(f"{name} {phase}", there))
        except AssertionError as error:
            message = f"{name} is not {phase}: {self.status(name, kind)}"
            raise AssertionError(message) from error

    def run_of(self, name: str) -> str:
        """The id of the run of a Workflow that was started."""
        return str(until("a run", lambda: self.status(name).get("instanceID")))

    def instance(self, name: str) -> dict[str, Any] | None:
        """The run of a Workflow as the engine tells of it; None when there is none."""
        return self.engine_knows(self.run_of(name))

    def engine_knows(self, instance_id: str) -> dict[str, Any] | None:
        """A run as the engine tells of it; None when there is none."""
        try:
            return dict(self.ask(f"instances/{instance_id}"))
        except HTTPError as error:
            with error:
                assert error.code == HTTPStatus.NOT_FOUND, error.read()
            return None

    def count(self) -> int:
        """How many runs the engine has."""
        return int(self.ask("counts")["total"])

    def history(self, instance_id: str) -> list[dict[str, Any]]:
        """The events of a run."""
        return list(self.ask(f"instances/{instance_id}/history")["events"])

    def post(self, path: str, body: dict[str, Any] | None = None) -> None:
        """Tell the engine something that no resource says."""
        self.ask(path, json.dumps(body or {}).encode())

    def ask(self, path: str, body: bytes | None = None, method: str | None = None) -> Any:
        """A request of the management API; without ``method`` a POST when it has a body.

        Raises: HTTPError.
        """
        url = f"{self.engine.http_url}/v1alpha1/apps/orders/{path}"
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - the engine's
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.load(answer)

    def close(self) -> None:
        """End everything."""
        for operator in self.operators:
            operator.stop()
        if self._process is not None:
            self._process.kill()
        self.engine.close()
        for name in (self.namespace, self.home):
            self.control_plane.kubectl(
                "delete", "namespace", name, "--wait=false", "--ignore-not-found"
            )
