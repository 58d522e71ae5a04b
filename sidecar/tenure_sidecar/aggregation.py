"""Keeps a gateway a part of the Kubernetes API: the calls to that API which this takes.

Two: read how the cluster's API server is known (a ConfigMap), and write down who vouches for this
gateway's certificate (in its own APIService).  Both are looked at again and again, because both
authorities are renewed.  While the API server is away what was read last holds; a gateway that has
read nothing yet serves its other callers meanwhile.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import structlog

from tenure_common.errors import BadSettingError, TenureError
from tenure_common.kube import KubeApi
from tenure_sidecar.http.cluster import (
    API_SERVICE,
    CONFIG_MAP,
    ClusterServer,
    FrontProxy,
    front_proxy,
)
from tenure_sidecar.http.manage.api import Apps
from tenure_sidecar.http.secure import Place
from tenure_sidecar.http.tls import TlsFiles

_log = structlog.get_logger(__name__)

LOOK_EVERY: Final = 30.0  # seconds
_SOON: Final = 1.0  # seconds until the first tries again
_MAP: Final = f"/api/v1/namespaces/{CONFIG_MAP[0]}/configmaps/{CONFIG_MAP[1]}"
_SERVICE: Final = f"/apis/apiregistration.k8s.io/v1/apiservices/{API_SERVICE}"
_MERGE: Final = "application/merge-patch+json"


class Aggregation:
    """Serves the API server as soon as it is known; ``run`` it from start to stop."""

    def __init__(
        self, apps: Apps, *, api: KubeApi, place: Place, files: TlsFiles, vouching: str
    ) -> None:
        """Nothing runs yet.

        Args:
            apps: what is served.
            api: a client with the gateway's own account.
            place: where the API server calls.
            files: the certificate and key shown to it.
            vouching: file with the CA of that certificate; empty = somebody else tells the API server.
        """
        self._api = api
        self._vouching = vouching
        self._front: FrontProxy | None = None
        self._server = ClusterServer(apps, place=place, files=files, front=self._known)
        self.serving = False
        self.failures = 0  # looks that failed

    @property
    def refused(self) -> int:
        """Requests of others than the API server."""
        return self._server.front.refused

    def _known(self) -> FrontProxy:
        assert self._front is not None  # noqa: S101 - the server is started when it is
        return self._front

    async def run(self) -> None:
        """Look, serve, for ever."""
        pause = _SOON
        try:
            async with self._api:
                while True:
                    try:
                        await self._look()
                        pause = LOOK_EVERY
                    except TenureError as error:
                        self.failures += 1
                        _log.warning(
                            "not sure to be a part of the Kubernetes API", error=str(error)
                        )
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LOOK_EVERY)
        finally:
            self.serving = False
            await self._server.stop()

    async def _look(self) -> None:
        found = await self._api.call("get how the API server is known", "GET", _MAP)
        self._front = front_proxy(cast("Mapping[str, str]", found.get("data") or {}))
        if self.serving:
            self._server.look()
        else:
            port = await self._server.start()
            self.serving = True
            _log.info("part of the Kubernetes API", port=port)
        if self._vouching:
            await self._vouch()

    async def _vouch(self) -> None:
        bundle = _bundle(self._vouching)
        service = await self._api.call("get APIService", "GET", _SERVICE)
        patch = needed(service, bundle)
        if patch is not None:
            await self._api.call("patch APIService", "PATCH", _SERVICE, patch, form=_MERGE)
            _log.info("told the API server who vouches for this gateway")


def needed(service: Mapping[str, Any], bundle: bytes) -> dict[str, Any] | None:
    """The merge patch after which ``service`` trusts ``bundle``; None when it does."""
    text = base64.b64encode(bundle).decode()
    return None if service["spec"].get("caBundle") == text else {"spec": {"caBundle": text}}


def _bundle(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        message = f"cannot read --kubernetes-ca '{path}': {error.strerror}"
        raise BadSettingError(message) from error
