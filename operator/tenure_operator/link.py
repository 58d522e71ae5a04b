"""The connection to the Kubernetes API: credentials, requests, and what an answer means.

``kubernetes.aio`` finds and refreshes the credentials.  Requests are sent by a session of our own: the
library's looks for passwords in a file of the home folder at each request, in a thread.
"""

from __future__ import annotations

import ipaddress
import os
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import kopf
import kubernetes.aio.client
import kubernetes.aio.config
import msgspec

from tenure_common.errors import BadSettingError, ClusterRefusedError, ClusterUnavailableError
from tenure_operator.reconcile.backoff import wished

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


class PauseError(ClusterUnavailableError):
    """The server asks to come back later; ``seconds`` says when, 0 = it does not say."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class Link:
    """A connection to the API server."""

    def __init__(self, api: Any) -> None:  # noqa: ANN401 - see _client
        """``api``: the library's client, which knows the credentials.

        Raises: BadSettingError when the environment names a proxy that cannot be used.
        """
        self._api = api
        settings: Any = api.configuration
        self._server = str(settings.host).rstrip("/")
        self._proxy = settings.proxy or proxy_of(self._server)
        self._extra: dict[str, Any] = {}
        if settings.tls_server_name:
            self._extra["server_hostname"] = settings.tls_server_name
        if settings.proxy_headers:
            self._extra["proxy_headers"] = settings.proxy_headers
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=api.rest_client.ssl_context),
            proxy=self._proxy,
        )

    @classmethod
    async def connect(cls, kubeconfig: str) -> Link:
        """With the service account of the pod, or else with a kubeconfig file.

        Raises: ClusterRefusedError when there are no credentials, BadSettingError.
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
            proxy_url=self._proxy,
        )

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        form: str = JSON,
        *,
        within: float = ANSWER_WITHIN,
    ) -> bytes:
        """The answer's body, JSON.

        Args:
            method: of HTTP.
            path: from the server's root.
            body: anything that can be written as JSON; None = no body.
            form: the body's content type.
            within: seconds until the answer must be there.

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
                timeout=aiohttp.ClientTimeout(total=within),
                **self._extra,
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            message = f"no answer from the Kubernetes API at {self._server}: {error!r}"
            raise ClusterUnavailableError(message) from error
        if answer.status < HTTPStatus.BAD_REQUEST:
            return content
        raise _error(answer.status, content, f"{method} {path}", answer.headers)


def proxy_of(server: str) -> str | None:
    """The proxy that the environment names for the server, None = none; as Go's programs read it.

    In a cluster the server is an address, and ``NO_PROXY`` has networks (``10.96.0.0/12``), of which
    the standard library knows nothing.  A server on loopback is never reached through a proxy.

    Raises: BadSettingError when the proxy is none that can be used.
    """
    url = urlsplit(server)
    host = url.hostname or ""
    named = urllib.request.getproxies().get(url.scheme)
    if named is None or _direct(host, url.port):
        return None
    proxy = named if "://" in named else f"http://{named}"
    kind = urlsplit(proxy).scheme
    if kind not in {"http", "https"}:
        message = (
            f"{url.scheme.upper()}_PROXY names a proxy of kind '{kind}', and only an HTTP proxy can be "
            f"used: name one, or put {host} into NO_PROXY"
        )
        raise BadSettingError(message)
    return proxy


def _direct(host: str, port: int | None) -> bool:
    """Whether a host is reached without a proxy."""
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    if urllib.request.proxy_bypass(host if port is None else f"{host}:{port}"):
        return True
    if address is None:
        return False
    names = urllib.request.getproxies().get("no", "").split(",")
    return any(address in network for name in names if (network := _network(name)) is not None)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip().strip("[]"), strict=False)
    except ValueError:
        return None


def _error(status: int, content: bytes, what: str, headers: Mapping[str, str]) -> Exception:
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
        return PauseError(message, wished(headers.get("Retry-After", "")))
    return ClusterRefusedError(message)
