"""The Kubernetes API, as the operator uses it; nothing else here talks to it (kopf watches).

Every write is fenced or harmless to repeat: a status and a list of finalizers carry the version that
they were made from, a creation has a name that is the same each time, a deletion has the uid.  So two
operators cannot undo each other, whatever the lease says.

``kubernetes.aio`` finds and refreshes the credentials and holds the connections; its generated models
are left out, because encoding through them costs more than the request.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import kopf
import kubernetes.aio.client
import kubernetes.aio.config
import msgspec

from tenure_common.errors import ClusterRefusedError, ClusterUnavailableError
from tenure_common.names import API_GROUP, API_VERSION
from tenure_operator.resources import Key

ANSWER_WITHIN: Final = 30.0  # seconds
_OURS: Final = f"/apis/{API_GROUP}/{API_VERSION}"
_PAGE: Final = 500
_UNAVAILABLE: Final = 500  # this status and those above are the server's trouble
_JSON: Final = "application/json"
_PATCH: Final = "application/json-patch+json"
_MERGE: Final = "application/merge-patch+json"

# The library calls itself typed and is not.
_client: Any = kubernetes.aio.client
_config: Any = kubernetes.aio.config

Body = Mapping[str, Any]


class ConflictError(Exception):
    """The object has changed since it was read, or is there already."""


class GoneError(Exception):
    """There is no such object."""


def plural(kind: str) -> str:
    """The name of one of our kinds in a path."""
    return f"{kind.lower()}s"


class Cluster:
    """A connection to the API server.

    All methods raise ClusterUnavailableError and ClusterRefusedError; what else is said there.
    """

    def __init__(self, api: Any) -> None:  # noqa: ANN401 - see _client
        self._api = api

    @classmethod
    async def connect(cls, kubeconfig: str) -> Cluster:
        """With the service account of the pod, or else with a kubeconfig file.

        Raises: ClusterRefusedError when there are no credentials.
        """
        settings: Any = _client.Configuration()
        try:
            if kubeconfig or "KUBERNETES_SERVICE_HOST" not in os.environ:
                await _config.load_kube_config(kubeconfig or None, client_configuration=settings)
            else:
                _config.load_incluster_config(client_configuration=settings)
        except (_config.ConfigException, OSError) as error:
            message = f"no way to the Kubernetes API: {error!s}"
            raise ClusterRefusedError(message) from error
        return cls(_client.ApiClient(settings))

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    def login(self) -> kopf.ConnectionInfo:
        """The same credentials for kopf, read anew: tokens are replaced while we run."""
        settings: Any = self._api.configuration
        if settings.refresh_api_key_hook is not None:
            settings.refresh_api_key_hook(settings)
        scheme, _, token = str(settings.api_key.get("BearerToken", "")).partition(" ")
        return kopf.ConnectionInfo(
            server=settings.host,
            ca_path=settings.ssl_ca_cert,
            ca_data=settings.ca_cert_data,
            insecure=not settings.verify_ssl,
            certificate_path=settings.cert_file,
            private_key_path=settings.key_file,
            scheme=scheme or None,
            token=token or None,
        )

    # --- our resources ----------------------------------------------------------------------------

    async def get(self, key: Key) -> Body:
        """An object.  Raises: GoneError."""
        return await self._call("GET", self._path(key))

    async def patch_status(self, key: Key, version: str, status: Body) -> Body:
        """Write the status of the object of that version.  Raises: ConflictError, GoneError."""
        patch = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "add", "path": "/status", "value": status},
        ]
        return await self._call("PATCH", f"{self._path(key)}/status", patch, _PATCH)

    async def set_finalizers(self, key: Key, version: str, finalizers: Sequence[str]) -> Body:
        """Write the finalizers of the object of that version.  Raises: ConflictError, GoneError."""
        patch = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "add", "path": "/metadata/finalizers", "value": list(finalizers)},
        ]
        return await self._call("PATCH", self._path(key), patch, _PATCH)

    async def patch_spec(self, key: Key, spec: Body) -> Body:
        """Change fields of a spec.  Raises: GoneError."""
        return await self._call("PATCH", self._path(key), {"spec": spec}, _MERGE)

    async def create(self, body: Body) -> Body:
        """Create one of our objects.  Raises: ConflictError when there is one of that name."""
        path = f"{_OURS}/namespaces/{body['metadata']['namespace']}/{plural(body['kind'])}"
        return await self._call("POST", path, body)

    async def delete(self, key: Key, uid: str | None = None) -> None:
        """Delete an object, if it is that one.  Raises: ConflictError, GoneError."""
        options: dict[str, Any] = {"propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        await self._call("DELETE", self._path(key), options)

    async def served(self) -> bool:
        """Whether our resources are installed."""
        try:
            await self._call("GET", _OURS)
        except GoneError:
            return False
        return True

    # --- others -----------------------------------------------------------------------------------

    async def create_event(self, body: Body) -> None:
        """Create a Kubernetes Event."""
        namespace = body["metadata"]["namespace"]
        await self._call("POST", f"/api/v1/namespaces/{namespace}/events", body)

    async def lease(self, namespace: str, name: str) -> Body:
        """A Lease.  Raises: GoneError."""
        return await self._call("GET", f"{_leases(namespace)}/{name}")

    async def create_lease(self, body: Body) -> Body:
        """Create a Lease.  Raises: ConflictError."""
        return await self._call("POST", _leases(body["metadata"]["namespace"]), body)

    async def replace_lease(self, body: Body) -> Body:
        """Replace a Lease of the version in ``body``.  Raises: ConflictError, GoneError."""
        meta = body["metadata"]
        return await self._call("PUT", f"{_leases(meta['namespace'])}/{meta['name']}", body)

    async def alive(self) -> None:
        """Ask for something small, to see whether the server answers."""
        await self._call("GET", "/version")

    def _path(self, key: Key) -> str:
        return f"{_OURS}/namespaces/{key.namespace}/{plural(key.kind)}/{key.name}"

    async def _call(self, method: str, path: str, body: object = None, form: str = _JSON) -> Body:
        settings: Any = self._api.configuration
        headers = {"Accept": _JSON, "Content-Type": form}
        for auth in (await settings.auth_settings()).values():
            headers[str(auth["key"])] = str(auth["value"])
        try:
            answer: Any = await self._api.rest_client.request(
                method,
                settings.host + path,
                headers=headers,
                body=body,
                _request_timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN),
            )
            content: bytes = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            message = f"no answer from the Kubernetes API at {settings.host}: {error!r}"
            raise ClusterUnavailableError(message) from error
        if answer.status < HTTPStatus.BAD_REQUEST:
            return dict(msgspec.json.decode(content, type=dict[str, Any]))
        raise _error(answer.status, content, f"{method} {path}")


def _leases(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def _error(status: int, content: bytes, what: str) -> Exception:
    try:
        said = str(msgspec.json.decode(content, type=dict[str, Any]).get("message", ""))
    except msgspec.DecodeError:
        said = content[:200].decode(errors="replace")
    if status == HTTPStatus.NOT_FOUND:
        return GoneError(said)
    if status == HTTPStatus.CONFLICT:
        return ConflictError(said)
    message = f"{what} was answered {status}: {said}"
    if status >= _UNAVAILABLE or status == HTTPStatus.TOO_MANY_REQUESTS:
        return ClusterUnavailableError(message)
    return ClusterRefusedError(message)
