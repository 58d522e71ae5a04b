"""The calls to the Kubernetes API, all of them: one Secret, one webhook configuration, Events.

What is not here the injector cannot do, and the chart's role allows nothing else.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from tenure_common.kube import KubeApi
from tenure_injector.meters import Meters
from tenure_injector.pods import Json

_ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_MERGE: Final = "application/strategic-merge-patch+json"


class Api(KubeApi):
    """A client with the pod's own service account."""

    def __init__(
        self, *, server: str, token_file: str, ca_file: str, timeout: float, meters: Meters
    ) -> None:
        """As ``KubeApi``; ``meters`` is where failures are counted.  Raises: BadSettingError."""

        def failed(what: str) -> None:
            meters.api_failures[what,] += 1

        super().__init__(
            server=server,
            token_file=token_file,
            ca_file=ca_file,
            timeout=timeout,
            manager="tenure-injector",
            failed=failed,
        )

    async def webhook(self, name: str) -> Json:
        """A MutatingWebhookConfiguration.  Raises: ClusterApiError."""
        return await self.call("get webhook", "GET", f"{_ADMISSION}/{quote(name)}")

    async def patch_webhook(self, name: str, patch: Json) -> bool:
        """Patch it, strategically; False when it was changed since.  Raises: ClusterApiError."""
        path = f"{_ADMISSION}/{quote(name)}"
        done = await self.call("patch webhook", "PATCH", path, patch, conflict={}, form=_MERGE)
        return bool(done)

    async def create_event(self, event: Json) -> None:
        """Write an Event.  Raises: ClusterApiError."""
        path = f"/api/v1/namespaces/{quote(event['metadata']['namespace'])}/events"
        await self.call("create event", "POST", path, event)
