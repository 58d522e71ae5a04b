"""The connection to the Kubernetes API: credentials, requests, and what an answer means.

``kubernetes.aio`` finds and refreshes the credentials.  Requests are sent by a session of our own: the
library's looks for passwords in a file of the home folder at each request, in a thread.
"""

from __future__ import annotations

import os
import urllib.request
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import kopf
import kubernetes.aio.client
import kubernetes.aio.config
import msgspec

from tenure_common.errors import ClusterRefusedError, ClusterUnavailableError

ANSWER_WITHIN: Final = 30.0  # seconds
JSON: Final = "application/json"
_CONNECTIONS: Final = 100  # more than there are workers
_UNAVAILABLE: Final = 500  # this status and those above are the server's trouble

# The library calls itself typed and is not.
_client: Any = kubernetes.aio.client
_config: Any = kubernetes.aio.config


class ConflictError(Exception):
    """The object has changed since it was read, or is there already."""


class GoneError(Exception):
    """There is no such object."""


class Link:
    """A connection to the API server."""

    def __init__(self, api: Any) -> None:  # noqa: ANN401 - see _client
        """``api``: the library's client, which knows the credentials."""
        self._api = api
        settings: Any = api.configuration
        self._server = str(settings.host).rstrip("/")
        self._extra: dict[str, Any] = {}
        if settings.tls_server_name:
            self._extra["server_hostname"] = settings.tls_server_name
        if settings.proxy_headers:
            self._extra["proxy_headers"] = settings.proxy_headers
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=api.rest_client.ssl_context),
            proxy=settings.proxy or _proxy(self._server),
            timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN),
        )

    @classmethod
    async def connect(cls, kubeconfig: str) -> Link:
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
        await self._session.close()
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

    async def call(self, method: str, path: str, body: object = None, form: str = JSON) -> bytes:
        """The answer's body, JSON.

        Args:
            method: of HTTP.
            path: from the server's root.
            body: anything that can be written as JSON; None = no body.
            form: the body's content type.

        Raises: GoneError, ConflictError, ClusterUnavailableError, ClusterRefusedError.
        """
        headers = {"Accept": JSON, "Content-Type": form}
        for auth in (await self._api.configuration.auth_settings()).values():
            headers[str(auth["key"])] = str(auth["value"])
        try:
            async with self._session.request(
                method,
                self._server + path,
                headers=headers,
                data=None if body is None else msgspec.json.encode(body),
                **self._extra,
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            message = f"no answer from the Kubernetes API at {self._server}: {error!r}"
            raise ClusterUnavailableError(message) from error
        if answer.status < HTTPStatus.BAD_REQUEST:
            return content
        raise _error(answer.status, content, f"{method} {path}")


def _proxy(server: str) -> str | None:
    """The proxy that the environment names for the server."""
    url = urlsplit(server)
    if urllib.request.proxy_bypass(url.hostname or ""):
        return None
    return urllib.request.getproxies().get(url.scheme)


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
