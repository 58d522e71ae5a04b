"""One call to the Kubernetes API, with the pod's own service account.

A call has a deadline and is not repeated: whoever made it decides whether and when to try again.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp

from tenure_common.errors import BadSettingError, ClusterApiError
from tenure_common.hosts import joined

Json = dict[str, Any]

ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_MISSING: Final = 404
_CONFLICT: Final = 409
_FAILED: Final = 400
_LONGEST_REASON: Final = 300  # characters of the API server's answer in a message


def api_server(given: str, env: Mapping[str, str]) -> str:
    """URL of the Kubernetes API: ``given``, or that of the cluster around us.

    Raises: BadSettingError outside of a cluster.
    """
    host, port = env.get("KUBERNETES_SERVICE_HOST"), env.get("KUBERNETES_SERVICE_PORT")
    if given:
        return given
    if not host or not port:
        message = "not in a cluster: say where the Kubernetes API is with --api-server"
        raise BadSettingError(message)
    return f"https://{joined(host, port)}"


class KubeApi:
    """A client; use it as an asynchronous context manager."""

    def __init__(  # noqa: PLR0913 - its surroundings
        self,
        *,
        server: str,
        token_file: str,
        ca_file: str,
        timeout: float,
        manager: str,
        failed: Callable[[str], None] = lambda _what: None,
    ) -> None:
        """Nothing is sent yet.  ``timeout`` in seconds.  Raises: BadSettingError.

        Args:
            server: URL of the API server.
            token_file: the token, read for each call, because it is replaced while we run.
            ca_file: the CA of the API server.
            timeout: deadline of a call.
            manager: whom the API server writes down as the one who changed a field.
            failed: is told which call failed.
        """
        self._server = server.rstrip("/")
        self._token_file = Path(token_file)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._manager = manager
        self._count_failure = failed
        self._session: aiohttp.ClientSession | None = None
        try:
            self._tls = ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            message = f"cannot read the API server's CA '{ca_file}': {error}"
            raise BadSettingError(message) from error

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=8)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=self._timeout, trust_env=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def secret(self, namespace: str, name: str) -> Json:
        """A Secret.  Raises: ClusterApiError."""
        return await self.call("get secret", "GET", _secret(namespace, name))

    async def replace_secret(self, secret: Json) -> bool:
        """Write a Secret that was read; False when somebody else wrote it since.

        Raises: ClusterApiError.
        """
        metadata = secret["metadata"]
        path = _secret(metadata["namespace"], metadata["name"])
        return bool(await self.call("update secret", "PUT", path, secret, conflict={}))

    async def changed(self, what: str, path: str, *, version: str, within: float) -> None:
        """Wait until something in a list changes, or ``within`` seconds are over.

        Args:
            what: the call, for messages.
            path: of the list.
            version: of the list that was read; whatever came after it counts.
            within: seconds.

        Raises: ClusterApiError.
        """
        assert self._session is not None, "used outside of its context"  # noqa: S101 - our own mistake
        span = max(1, int(within))
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(span)}
        deadline = self._timeout.total or 0.0  # of the server, to begin and to end
        try:
            async with self._session.get(
                self._server + path,
                params=query,
                headers={"Authorization": f"Bearer {self._token()}"},
                timeout=aiohttp.ClientTimeout(total=span + 2 * deadline),
            ) as answer:
                if answer.status >= _FAILED:
                    raise self._failed(what, f"{answer.status} {_reason(await answer.text())}")
                # One line a change, of any length: that there is one is all that counts.
                await answer.content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._failed(what, f"{type(error).__name__} {error}") from error

    async def call(  # noqa: PLR0913 - what a request consists of
        self,
        what: str,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        conflict: Json | None = None,
        missing: Json | None = None,
        form: str = "application/json",
    ) -> Json:
        """One request.  Raises: ClusterApiError.

        Args:
            what: the call, for messages.
            method: of HTTP.
            path: from the server's root on.
            body: JSON to send.
            conflict: the answer when the object was changed since it was read; None = an error.
            missing: the answer when there is no such object; None = an error.
            form: media type of the body.
        """
        assert self._session is not None, "used outside of its context"  # noqa: S101 - our own mistake
        params = {} if body is None else {"fieldManager": self._manager}
        try:
            token = self._token()
            async with self._session.request(
                method,
                self._server + path,
                params=params,
                data=None if body is None else json.dumps(body),
                headers={"Authorization": f"Bearer {token}", "Content-Type": form},
            ) as answer:
                if answer.status == _CONFLICT and conflict is not None:
                    return conflict
                if answer.status == _MISSING and missing is not None:
                    return missing
                if answer.status >= _FAILED:
                    raise self._failed(what, f"{answer.status} {_reason(await answer.text())}")
                document: Any = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._failed(what, f"{type(error).__name__} {error}") from error
        if not isinstance(document, dict):
            raise self._failed(what, "the answer is no object")
        return document  # pyright: ignore[reportUnknownVariableType] - JSON, as it is

    def _token(self) -> str:
        return self._token_file.read_text(encoding="ascii").strip()

    def _failed(self, what: str, reason: str) -> ClusterApiError:
        self._count_failure(what)
        return ClusterApiError(f"the Kubernetes API: {what} failed: {reason.strip()}")


def _secret(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace)}/secrets/{quote(name)}"


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["message"])[:_LONGEST_REASON]
    except (ValueError, TypeError, KeyError):
        return text[:_LONGEST_REASON]
