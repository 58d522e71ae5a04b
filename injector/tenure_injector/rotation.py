"""Keeps the injector's certificate good: the schedule's steps, taken against the cluster.

Every replica runs this.  What they share is one Secret, written only over the version that was
read, so that of two replicas which take the same step one succeeds and the other looks again.  Each
of them also sees to it that the webhook configuration trusts what the Secret's bundle holds, and
moves on to a newer authority only when it has found that bundle there already.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from tenure_common.errors import BadCertificateError, ClusterApiError, TenureError
from tenure_common.pki import authority
from tenure_common.pki.authority import Material
from tenure_common.pki.schedule import Step, next_step
from tenure_injector.config import Config
from tenure_injector.meters import Meters
from tenure_injector.pods import Json, entries, part

_log = structlog.get_logger(__name__)

NAME: Final = "tenure-injector"  # in certificates
LOOK_EVERY: Final = 10.0  # seconds: also how long a wrong CA bundle stays
SOONEST: Final = 1.0  # seconds between two looks, after a failure too
_MOST_STEPS: Final = 10  # in one look; two replicas need at most a few
_KEYS: Final = {
    "bundle": "ca.crt",
    "authority_key": "ca.key",
    "certificate": "tls.crt",
    "key": "tls.key",
}


class Cluster(Protocol):
    """The calls that the rotation makes (``api.Api``)."""

    async def secret(self, namespace: str, name: str) -> Json:
        """Read a Secret."""
        ...

    async def replace_secret(self, secret: Json) -> bool:
        """Write it over the version that was read; False when that is not the newest."""
        ...

    async def webhook(self, name: str) -> Json:
        """Read a webhook configuration."""
        ...

    async def patch_webhook(self, name: str, patch: Json) -> bool:
        """Patch the version that was read; False when that is not the newest."""
        ...


class Rotation:
    """The certificate of one replica."""

    def __init__(  # noqa: PLR0913 - its surroundings
        self,
        cluster: Cluster,
        *,
        config: Config,
        names: frozenset[str],
        now: Callable[[], float],
        use: Callable[[bytes, bytes], None],
        meters: Meters,
    ) -> None:
        """Nothing is done yet.

        Args:
            cluster: where Secret and webhook configuration are.
            config: their names, and the certificates' lives.
            names: host names that the certificate has to be good for.
            now: wall clock, seconds since the Unix epoch.
            use: takes a certificate and its key (PEM) into service.
            meters: counts steps.
        """
        self._cluster = cluster
        self._config = config
        self._names = names
        self._now = now
        self._use = use
        self._meters = meters
        self._in_use = b""
        self._published = False
        self._problem = "the certificate is not there yet"
        self.looks = 0
        self.served = asyncio.Event()  # set once there is a certificate in service

    @property
    def problem(self) -> str:
        """Why reviews cannot be answered in the cluster, empty when they can."""
        if self._in_use and self._now() >= self._meters.certificate_end:
            return "the certificate has expired"
        return "" if self._in_use and self._published else self._problem

    @property
    def look_every(self) -> float:
        """Seconds between two looks: often enough for the shortest life."""
        shortest = min(self._config.certificate_life, self._config.authority_life)
        return max(SOONEST, min(LOOK_EVERY, shortest / 60))

    async def run(self) -> None:
        """Look, act, wait, for ever; a failure is told and tried again."""
        pause = SOONEST
        while True:
            try:
                await self.look()
                pause = self.look_every
            except TenureError as error:
                self._problem = error.message
                _log.warning("cannot look after the certificate", error=str(error))
            self.looks += 1
            await asyncio.sleep(pause)
            pause = min(pause * 2, self.look_every)

    async def look(self) -> None:
        """Do what there is to do.  Raises: ClusterApiError, BadCertificateError."""
        for _ in range(_MOST_STEPS):
            secret = await self._cluster.secret(
                self._config.namespace, self._config.certificate_secret
            )
            material = unpack(secret)
            held = authority.read(material)
            step = next_step(held, names=self._names, now=self._now())
            ahead = held.leaf is not None and held.leaf.issuer != held.authorities[0].key_id
            trusted = not material.bundle or await self._publish(material.bundle)
            if step is Step.ISSUE and ahead and not trusted:
                step = Step.NOTHING  # the newest authority is in the bundle only since just now
            if step is Step.NOTHING:
                self._take(material)
                return
            data = part(secret, "data") | pack(self._do(step, material))
            changed = {**secret, "data": data}
            if await self._cluster.replace_secret(changed):
                self._meters.certificates[step.value,] += 1
                _log.info("certificate step taken", step=step.value)
        message = "the Secret with the certificate is being changed all the time"
        raise ClusterApiError(message)

    def _do(self, step: Step, material: Material) -> Material:
        now, config = self._now(), self._config
        if step is Step.FOUND:
            made = authority.found(name=NAME, now=now, life=config.authority_life)
            return authority.issue(
                made, name=NAME, names=self._names, now=now, life=config.certificate_life
            )
        if step is Step.STAGE:
            return authority.stage(material, name=NAME, now=now, life=config.authority_life)
        if step is Step.PRUNE:
            return authority.prune(material, now=now)
        return authority.issue(
            material, name=NAME, names=self._names, now=now, life=config.certificate_life
        )

    def _take(self, material: Material) -> None:
        if material.certificate != self._in_use:
            self._use(material.certificate, material.key)
            self._in_use = material.certificate
            self.served.set()
            self._meters.certificate_end = authority.end_of(material.certificate)
            _log.info("certificate taken into service", names=sorted(self._names))

    async def _publish(self, bundle: bytes) -> bool:
        """See to it that the API server trusts ``bundle``; whether it did already."""
        name = self._config.webhook
        configuration = await self._cluster.webhook(name)
        wanted = base64.b64encode(bundle).decode()
        behind = [
            one["name"]
            for one in entries(configuration, "webhooks")
            if part(one, "clientConfig").get("caBundle") != wanted
        ]
        if behind:
            patch: Json = {
                "metadata": {"resourceVersion": configuration["metadata"]["resourceVersion"]},
                "webhooks": [{"name": one, "clientConfig": {"caBundle": wanted}} for one in behind],
            }
            if not await self._cluster.patch_webhook(name, patch):
                return False  # somebody else was first: the next look finds out
            _log.info("CA bundle published", webhook=name)
        self._published = True
        return not behind


def unpack(secret: Json) -> Material:
    """The Secret's contents.  Raises: BadCertificateError when they are not base64."""
    data = part(secret, "data")
    try:
        values = {
            field: base64.b64decode(data.get(key) or "", validate=True)
            for field, key in _KEYS.items()
        }
    except (binascii.Error, TypeError, ValueError) as error:
        message = f"the Secret with the certificate cannot be read: {error}"
        raise BadCertificateError(message) from error
    return Material(**values)


def pack(material: Material) -> dict[str, str]:
    """Contents for the Secret."""
    return {
        key: base64.b64encode(getattr(material, field)).decode() for field, key in _KEYS.items()
    }
