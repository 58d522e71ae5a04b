"""The Kubernetes API, as the operator uses it; nothing else here talks to it (kopf watches).

Every write is fenced or harmless to repeat: a status and a list of finalizers carry the version that
they were made from, a creation has a name that is the same each time, a deletion has the uid.  So two
operators cannot undo each other, whatever the lease says.

Objects are handed on as the bytes of the answer: whoever wants one decodes it once, into its own type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from tenure_common.names import API_GROUP, API_VERSION
from tenure_operator.link import GoneError, Link
from tenure_operator.resources import Key

_OURS: Final = f"/apis/{API_GROUP}/{API_VERSION}"
_PATCH: Final = "application/json-patch+json"
_MERGE: Final = "application/merge-patch+json"
_ALIVE_WITHIN: Final = 5.0  # seconds

Body = Mapping[str, Any]


class _Kind(msgspec.Struct, frozen=True):
    name: str


class _Served(msgspec.Struct, frozen=True):
    resources: tuple[_Kind, ...] = ()


def plural(kind: str) -> str:
    """The name of one of our kinds in a path."""
    return f"{kind.lower()}s"


class Cluster:
    """What the operator reads and writes.

    All methods raise ClusterUnavailableError and ClusterRefusedError; what else is said there.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    # --- our resources ----------------------------------------------------------------------------

    async def get(self, key: Key) -> bytes:
        """An object.  Raises: GoneError."""
        return await self._link.call("GET", self._path(key))

    async def list(self, kind: str, namespace: str) -> bytes:
        """All objects of a kind in a namespace, as the API server knows them now."""
        return await self._link.call("GET", f"{_OURS}/namespaces/{namespace}/{plural(kind)}")

    async def patch_status(self, key: Key, version: str, status: msgspec.Struct) -> bytes:
        """Write the status of the object of that version.  Raises: ConflictError, GoneError."""
        patch = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "add", "path": "/status", "value": status},
        ]
        return await self._link.call("PATCH", f"{self._path(key)}/status", patch, _PATCH)

    async def set_finalizers(
        self,
        key: Key,
        version: str,
        finalizers: Sequence[str],
        annotations: Mapping[str, str] | None = None,
    ) -> bytes:
        """Write the finalizers of the object of that version, and all its annotations (None: they stay
        as they are).  Raises: ConflictError, GoneError."""
        patch: list[dict[str, Any]] = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "add", "path": "/metadata/finalizers", "value": list(finalizers)},
        ]
        if annotations is not None:
            patch.append({"op": "add", "path": "/metadata/annotations", "value": annotations})
        return await self._link.call("PATCH", self._path(key), patch, _PATCH)

    async def patch_spec(self, key: Key, spec: Body) -> bytes:
        """Change fields of a spec.  Raises: GoneError."""
        return await self._link.call("PATCH", self._path(key), {"spec": spec}, _MERGE)

    async def create(self, body: Body) -> bytes:
        """Create one of our objects.  Raises: ConflictError when there is one of that name."""
        path = f"{_OURS}/namespaces/{body['metadata']['namespace']}/{plural(body['kind'])}"
        return await self._link.call("POST", path, body)

    async def delete(self, key: Key, uid: str | None = None) -> None:
        """Delete an object, if it is that one.  Raises: ConflictError, GoneError."""
        options: dict[str, Any] = {"propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        await self._link.call("DELETE", self._path(key), options)

    async def unserved(self, kinds: Iterable[str]) -> tuple[str, ...]:
        """Which of these kinds of ours are not installed."""
        try:
            found = msgspec.json.decode(await self._link.call("GET", _OURS), type=_Served)
        except GoneError:
            found = _Served()
        known = {one.name for one in found.resources}
        return tuple(kind for kind in kinds if plural(kind) not in known)

    # --- others -----------------------------------------------------------------------------------

    async def create_event(self, body: Body) -> None:
        """Create a Kubernetes Event."""
        namespace = body["metadata"]["namespace"]
        await self._link.call("POST", f"/api/v1/namespaces/{namespace}/events", body)

    async def lease(self, namespace: str, name: str) -> Body:
        """A Lease.  Raises: GoneError."""
        return _body(await self._link.call("GET", f"{_leases(namespace)}/{name}"))

    async def create_lease(self, body: Body) -> Body:
        """Create a Lease.  Raises: ConflictError."""
        return _body(await self._link.call("POST", _leases(body["metadata"]["namespace"]), body))

    async def replace_lease(self, body: Body) -> Body:
        """Replace a Lease of the version in ``body``.  Raises: ConflictError, GoneError."""
        meta = body["metadata"]
        return _body(
            await self._link.call("PUT", f"{_leases(meta['namespace'])}/{meta['name']}", body)
        )

    async def alive(self) -> None:
        """Ask for something small, to see whether the server answers."""
        await self._link.call("GET", "/version", within=_ALIVE_WITHIN)

    def _path(self, key: Key) -> str:
        return f"{_OURS}/namespaces/{key.namespace}/{plural(key.kind)}/{key.name}"


def _leases(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def _body(content: bytes) -> Body:
    return msgspec.json.decode(content, type=dict[str, Any])
