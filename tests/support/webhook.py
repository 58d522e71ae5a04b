"""The chart's webhook beside a real API server, with injector processes and the wires between them."""

from __future__ import annotations

import base64
import itertools
import json
import secrets
import ssl
import threading
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from support.fleet import Wires
from support.helm import Helm, example, of_kind
from support.injector import Injector, reached_by_url
from support.kube.controlplane import ControlPlane
from support.kube.kubectl import manifest
from support.pods import body
from support.proxy import FaultProxy

WEBHOOKS = "mutatingwebhookconfigurations"
PATIENT = ("--set", "injector.timeoutSeconds=30")  # what fails is not the machine's speed

Json = dict[str, Any]


class Site:
    """The chart's webhook, its Secret and rights, injectors, and the wires between them.

    Args:
        control_plane: the cluster.
        helm: renders the chart.
        folder: for logs.
        wires: makes proxies.
        values: arguments of helm.
        flags: of the injectors.
        replicas: how many injectors; the API server calls the first.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        helm: Helm,
        folder: Path,
        wires: Wires,
        *,
        values: Sequence[str] = (),
        flags: Sequence[str] = (),
        replicas: int = 1,
    ) -> None:
        self.home = f"tenure-{secrets.token_hex(3)}"
        self.kubectl = control_plane.kubectl
        self._wires = wires
        objects = helm.template(
            *example("injector"),
            *("--set", "injector.timeoutSeconds=3", *values),
            release=self.home,
            namespace=self.home,
        )
        (deployment,) = of_kind(objects, "Deployment")
        self.name: str = deployment["metadata"]["name"]
        self.objects = [one for one in objects if one is not deployment]
        port = int(control_plane.server.rpartition(":")[2])
        self.to_api = wires.make(port)
        self.injectors = [
            Injector(
                control_plane,
                deployment,
                folder,
                replica=number,
                api_server=f"https://127.0.0.1:{self.to_api.port}",
                flags=flags,
            )
            for number in range(replicas)
        ]
        self.injector = self.injectors[0]
        self.to_injector = self._entrance()
        reached_by_url(self.objects, f"https://127.0.0.1:{self.to_injector.port}/mutate")

    def _entrance(self) -> FaultProxy:
        """What the API server calls."""
        return self._wires.make(self.injector.port)

    def open(self) -> None:
        """Install and start all of it."""
        self.kubectl("create", "namespace", self.home)
        self.kubectl.apply(*self.objects)
        for one in self.injectors:
            one.start()

    def close(self) -> None:
        """Take it away."""
        for one in self.injectors:
            one.stop()
        self.kubectl("delete", "-f", "-", "--wait=false", stdin=manifest(self.objects))
        self.kubectl("delete", "namespace", self.home, "--wait=false")

    def away(self, proxy: FaultProxy) -> None:
        """Nobody listens there."""
        self._wires.run(proxy.refuse())

    def back(self, proxy: FaultProxy) -> None:
        """Somebody listens again."""
        self._wires.run(proxy.listen())

    def silent(self, proxy: FaultProxy) -> None:
        """Connections are taken and nothing is answered."""
        self._wires.call(proxy.cut)

    def answers(self, proxy: FaultProxy) -> None:
        """The contrary."""
        self._wires.call(proxy.resume)
        self.broken(proxy)  # what was asked meanwhile was given up

    def broken(self, proxy: FaultProxy) -> None:
        """Open connections end, so that the next call begins with a handshake."""
        self._wires.call(proxy.reset)

    def bundles(self) -> list[str]:
        """What the API server trusts."""
        found = self.kubectl.get(WEBHOOKS, self.name)["webhooks"]
        return [one["clientConfig"].get("caBundle", "") for one in found]

    def authority(self) -> str:
        """What it should trust."""
        secret = self.kubectl(
            "get", "secret", f"{self.name}-certificates", "-n", self.home, "-ojson"
        )
        return str(json.loads(secret)["data"]["ca.crt"])

    def trust(self, bundle: str) -> None:
        """Have the API server trust something else."""
        webhooks = self.kubectl.get(WEBHOOKS, self.name)["webhooks"]
        patch = [
            {"op": "replace", "path": f"/webhooks/{at}/clientConfig/caBundle", "value": bundle}
            for at in range(len(webhooks))
        ]
        self.kubectl("patch", WEBHOOKS, self.name, "--type=json", f"-p={json.dumps(patch)}")


def pod(name: str, *, asks: bool) -> Json:
    """A pod that asks by its label, or not at all."""
    label = {"tenure.dev/inject": "true"} if asks else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": label,
            "annotations": {"tenure.dev/app-id": "orders"} if asks else {},
        },
        "spec": {"containers": [{"name": "app", "image": "app:1"}]},
    }


def has_engine(found: Json) -> bool:
    return any(one["name"] == "tenure" for one in found["spec"].get("initContainers", []))


class Stream:
    """Calls something again and again in a thread of its own, and keeps what went wrong."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.done = 0
        self.failed: list[str] = []
        self._call = call
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._call()
            except Exception as error:  # whatever it is, the test must see it
                self.failed.append(f"{type(error).__name__}: {error}")
            self.done += 1

    def end(self) -> None:
        """Wait for the call under way."""
        self._stop.set()
        self._thread.join()


class Fresh:
    """A client that knows only what the webhook configuration says now, as an API server does that
    has just been started: each review is a new connection."""

    def __init__(self, control_plane: ControlPlane, site: Site, urls: Sequence[str]) -> None:
        """``urls`` are called in turn."""
        self._control_plane = control_plane
        self._urls = itertools.cycle(urls)
        self._path = f"/apis/admissionregistration.k8s.io/v1/{WEBHOOKS}/{site.name}"

    def __call__(self) -> None:
        webhooks = self._control_plane.request(self._path)["webhooks"]
        (bundle,) = {one["clientConfig"]["caBundle"] for one in webhooks}
        context = ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
        request = urllib.request.Request(  # noqa: S310 - our own
            next(self._urls),
            data=body(pod("asking", asks=True)),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(  # noqa: S310 - our own
            request, context=context, timeout=10
        ) as answer:
            assert json.load(answer)["response"]["patch"]
