"""The calls to the Kubernetes API, all of them: one Secret, one webhook configuration, Events.

What is not here the injector cannot do, and the chart's role allows nothing else.  A call has a
deadline and is not repeated: whoever made it decides whether and when to try again.
"""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp

from tenure_common.errors import BadSettingError, ClusterApiError
from tenure_injector.meters import Meters
from tenure_injector.pods import Json

_CONFLICT: Final = 409
_FAILED: Final = 400
_LONGEST_REASON: Final = 300  # characters of the API server's answer in a message
_ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_MERGE: Final = "application/strategic-merge-patch+json"
_MANAGER: Final = "?fieldManager=tenure-injector"


class Api:
    """A client with the pod's own service account."""

    def __init__(
        self, *, server: str, token_file: str, ca_file: str, timeout: float, meters: Meters
    ) -> None:
        """Nothing is sent yet.  ``timeout`` in seconds.  Raises: BadSettingError.

        Args:
            server: URL of the API server.
            token_file: the token, read for each call, because it is replaced while we run.
            ca_file: the CA of the API server.
            timeout: deadline of a call.
            meters: where failures are counted.
        """
        self._server = server.rstrip("/")
        self._token_file = Path(token_file)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._meters = meters
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
        return await self._call("get secret", "GET", _secret(namespace, name))

    async def replace_secret(self, secret: Json) -> bool:
        """Write a Secret that was read; False when somebody else wrote it since.

        Raises: ClusterApiError.
        """
        metadata = secret["metadata"]
        path = _secret(metadata["namespace"], metadata["name"]) + _MANAGER
        return bool(await self._call("update secret", "PUT", path, secret, conflict={}))

    async def webhook(self, name: str) -> Json:
        """A MutatingWebhookConfiguration.  Raises: ClusterApiError."""
        return await self._call("get webhook", "GET", f"{_ADMISSION}/{quote(name)}")

    async def patch_webhook(self, name: str, patch: Json) -> bool:
        """Patch it, strategically; False when it was changed since.  Raises: ClusterApiError."""
        path = f"{_ADMISSION}/{quote(name)}{_MANAGER}"
        done = await self._call("patch webhook", "PATCH", path, patch, conflict={}, form=_MERGE)
        return bool(done)

    async def create_event(self, event: Json) -> None:
        """Write an Event.  Raises: ClusterApiError."""
        path = f"/api/v1/namespaces/{quote(event['metadata']['namespace'])}/events"
        await self._call("create event", "POST", path, event)

    async def _call(  # noqa: PLR0913 - what a request consists of
        self,
        what: str,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        conflict: Json | None = None,
        form: str = "application/json",
    ) -> Json:
        """One request; ``conflict`` is the answer when the object was changed in between."""
        assert self._session is not None, "used outside of its context"  # noqa: S101 - our own mistake
        try:
            token = self._token_file.read_text(encoding="ascii").strip()
            async with self._session.request(
                method,
                self._server + path,
                data=None if body is None else json.dumps(body),
                headers={"Authorization": f"Bearer {token}", "Content-Type": form},
            ) as answer:
                if answer.status == _CONFLICT and conflict is not None:
                    return conflict
                if answer.status >= _FAILED:
                    raise self._failed(what, f"{answer.status} {_reason(await answer.text())}")
                document: Any = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._failed(what, f"{type(error).__name__} {error}") from error
        if not isinstance(document, dict):
            raise self._failed(what, "the answer is no object")
        return document  # pyright: ignore[reportUnknownVariableType] - JSON, as it is

    def _failed(self, what: str, reason: str) -> ClusterApiError:
        self._meters.api_failures[what,] += 1
        return ClusterApiError(f"the Kubernetes API: {what} failed: {reason.strip()}")


def _secret(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace)}/secrets/{quote(name)}"


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["message"])[:_LONGEST_REASON]
    except (ValueError, TypeError, KeyError):
        return text[:_LONGEST_REASON]
