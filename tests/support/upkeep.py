"""A small cluster in memory for the upkeep: Secrets, namespaces, etcd's StatefulSet."""

from __future__ import annotations

import copy
from typing import Any

from cryptography import x509

from tenure_common.errors import ClusterApiError
from tenure_common.kube import Json
from tenure_sidecar.upkeep.keys import REPLACE, text_of

START = 1_800_000_000.0  # seconds since the Unix epoch
PLACE = "/api/v1/namespaces"


class Cluster:
    """Secrets and etcd's StatefulSet; its members read the bundle when they start."""

    def __init__(self, *names: str) -> None:
        self.secrets: dict[str, Json] = {
            name: {"metadata": {"namespace": "sys", "name": name, "resourceVersion": "1"}}
            for name in ("tenure-ca", *names)
        }
        self.etcd: Json = {
            "metadata": {"generation": 1},
            "spec": {"replicas": 3, "template": {"metadata": {"labels": {}}}},
            "status": {},
        }
        self.started_with = b""
        self.restarts = 0
        self.before_write: Any = None
        self.events: list[tuple[str, str, str]] = []  # namespace, reason, message
        self.locked: set[str] = set()  # namespaces in which nothing can be made
        self.unanswered = False  # questions about namespaces

    async def secret(self, namespace: str, name: str) -> Json:
        name = name if namespace == "sys" else f"{namespace}/{name}"
        if name not in self.secrets:
            message = f"the Kubernetes API: get secret failed: 404 '{name}' not found"
            raise ClusterApiError(message)
        return copy.deepcopy(self.secrets[name])

    async def replace_secret(self, secret: Json) -> bool:
        if self.before_write is not None:
            first, self.before_write = self.before_write, None
            await first()
        meta = secret["metadata"]
        name = meta["name"] if meta["namespace"] == "sys" else f"{meta['namespace']}/{meta['name']}"
        held = self.secrets[name]["metadata"]["resourceVersion"]
        if secret["metadata"]["resourceVersion"] != held:
            return False
        changed = copy.deepcopy(secret)
        changed["metadata"]["resourceVersion"] = str(int(held) + 1)
        self.secrets[name] = changed
        return True

    async def call(
        self,
        what: str,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        conflict: Json | None = None,
        missing: Json | None = None,
        form: str = "",
    ) -> Json:
        if what == "get namespace":
            assert method == "GET"
            return self._namespace(path.removeprefix(f"{PLACE}/"), missing)
        if path.startswith(f"{PLACE}/"):
            return self._in_a_namespace(method, path.removeprefix(f"{PLACE}/").split("/"), body)
        assert conflict is None
        assert path == "/apis/apps/v1/namespaces/sys/statefulsets/tenure-etcd", what
        if method == "PATCH":
            assert body is not None
            assert form == "application/merge-patch+json"
            marks = body["spec"]["template"]["metadata"]["annotations"]
            self.etcd["spec"]["template"]["metadata"]["annotations"] = marks
            self.etcd["metadata"]["generation"] += 1
        return copy.deepcopy(self.etcd)

    def _in_a_namespace(self, method: str, words: list[str], body: Json | None) -> Json:
        """Events, and Secrets that are asked for and made."""
        if method == "GET":
            namespace, _, name = words
            return copy.deepcopy(self.secrets.get(f"{namespace}/{name}", {}))
        assert method == "POST"
        assert body is not None
        assert body["metadata"]["namespace"] == words[0]
        if words[1] == "events":
            self.events.append((words[0], body["reason"], body["message"]))
            return {}
        if words[0] in self.locked:
            message = "the Kubernetes API: create secret failed: 403 forbidden: quota"
            raise ClusterApiError(message)
        assert words[1] == "secrets"
        assert body["type"] == "Opaque"
        made = copy.deepcopy(body)
        made["metadata"]["resourceVersion"] = "1"
        self.secrets[f"{words[0]}/{body['metadata']['name']}"] = made
        return made

    def _namespace(self, name: str, missing: Json | None) -> Json:
        if self.unanswered:
            message = "the Kubernetes API: get namespace failed: 500"
            raise ClusterApiError(message)
        if any(one.startswith(f"{name}/") for one in self.secrets):
            return {"metadata": {"name": name}}
        assert missing is not None
        return missing

    def has(self, namespace: str) -> None:
        """The Secrets that the chart makes in a namespace of apps."""
        for name in ("tenure-store", "tenure-peers"):
            there = {"namespace": namespace, "name": name, "resourceVersion": "1"}
            self.secrets[f"{namespace}/{name}"] = {"metadata": there}

    def roll(self) -> None:
        """All members start (again)."""
        generation = self.etcd["metadata"]["generation"]
        self.etcd["status"] = {
            "observedGeneration": generation,
            "updatedReplicas": 3,
            "readyReplicas": 3,
            "currentRevision": f"r{generation}",
            "updateRevision": f"r{generation}",
        }
        self.started_with = self.text("tenure-etcd-tls", "ca.crt")
        self.restarts += 1

    def text(self, name: str, key: str) -> bytes:
        return text_of(self.secrets[name], key)

    def leaf(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.text(name, "tls.crt"))

    def ask(self, name: str) -> None:
        """As a person: ``kubectl annotate secret NAME tenure.dev/replace=now``."""
        self.secrets[name]["metadata"]["annotations"] = {REPLACE: "now", "other": "kept"}
