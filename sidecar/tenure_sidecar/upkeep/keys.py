"""The certificates of an installation, kept in Secrets that the chart has made empty.

A Secret is written only over the version that was read, so that of two runs at once neither undoes
what the other did.  What people want replaced they annotate; the annotation goes with the write.

A namespace of apps belongs to others, who may delete it or spoil its Secret.  That is told, and
keeps nobody else from a certificate.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from typing import Any, Final, Protocol
from urllib.parse import quote

import msgspec
import structlog

from tenure_common.errors import BadCertificateError, ClusterApiError
from tenure_common.kube import Json
from tenure_common.pki import authority
from tenure_common.pki.authority import Material
from tenure_common.pki.schedule import Step
from tenure_sidecar.upkeep.config import UpkeepConfig, Wanted, wanted
from tenure_sidecar.upkeep.steps import authority_step, has_started_with, leaf_step

_log = structlog.get_logger(__name__)

REPLACE: Final = "tenure.dev/replace"  # on a Secret: make what it holds anew
STARTED_WITH: Final = "tenure.dev/authority"  # on etcd's pods
_MOST_STEPS: Final = 10  # with one Secret in one run
_MERGE: Final = "application/merge-patch+json"
_BUNDLE, _AUTHORITY_KEY = "ca.crt", "ca.key"
_CERTIFICATE, _KEY = "tls.crt", "tls.key"


class Cluster(Protocol):
    """The calls that are made (``kube.KubeApi``)."""

    async def secret(self, namespace: str, name: str) -> Json:
        """Read a Secret."""
        ...

    async def replace_secret(self, secret: Json) -> bool:
        """Write it over the version that was read; False when that is not the newest."""
        ...

    async def call(  # noqa: PLR0913 - what a request consists of
        self,
        what: str,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        conflict: Json | None = ...,
        missing: Json | None = ...,
        form: str = ...,
    ) -> Json:
        """Any other request; ``conflict`` and ``missing`` are answers for these cases."""
        ...


class Keys:
    """The certificates of one installation."""

    def __init__(self, cluster: Cluster, config: UpkeepConfig) -> None:
        """Nothing is done yet."""
        self._cluster = cluster
        self._config = config
        self.done: list[str] = []  # what was done, for people
        self.failed: list[str] = []  # which namespaces of apps have no good certificate, and why
        self.served = config.app_namespaces  # those that are there, once ``look`` has looked

    async def look(self, now: float) -> None:
        """Do what there is to do; ``now`` in seconds since the Unix epoch.

        What goes wrong in a namespace of apps is in ``failed`` afterwards.

        Raises: ClusterApiError, BadCertificateError for what is the installation's own.
        """
        material = await self._authority(now)
        newest, *older = authority.read(material).authorities
        trusted = await self._trusted(newest.key_id, sole=not older)
        self.served = tuple([one for one in self.served if await self._exists(one)])
        for one in wanted(msgspec.structs.replace(self._config, app_namespaces=self.served)):
            try:
                await self._leaf(one, material, now=now, trusted=trusted)
            except (ClusterApiError, BadCertificateError) as error:
                if one.namespace == self._config.namespace:
                    raise
                self._fail(f"{one.namespace}/{one.secret}: {error}")
        await self._restart(newest.key_id, sole=not older)

    async def serve(self, namespaces: Collection[str], now: float) -> dict[str, str]:
        """Do for namespaces of apps alone what there is to do, with the authority that is there.

        A Secret that is missing is made.  ``now`` in seconds since the Unix epoch.

        Returns which of them have no good certificate, and why.
        Raises: ClusterApiError, BadCertificateError for what concerns them all.
        """
        config = msgspec.structs.replace(self._config, app_namespaces=tuple(namespaces))
        secret = await self._cluster.secret(config.namespace, f"{config.full_name}-ca")
        material = _authority_in(secret)
        held = authority.read(material).authorities
        if not held:
            message = (
                f"Secret '{config.full_name}-ca' is empty: the upkeep's Job has yet to fill it"
            )
            raise BadCertificateError(message)
        trusted = await self._trusted(held[0].key_id, sole=len(held) == 1)
        failed: dict[str, str] = {}
        for one in wanted(config):
            if one.namespace not in namespaces or one.namespace in failed:
                continue
            try:
                await self._make_secret(one)
                await self._leaf(one, material, now=now, trusted=trusted)
            except (ClusterApiError, BadCertificateError) as error:
                failed[one.namespace] = f"Secret {one.secret}: {error}"
        return failed

    # --- the authority ----------------------------------------------------------------------------

    async def _authority(self, now: float) -> Material:
        """Bundle and key, once nothing is to be done with them."""
        name, life = self._config.full_name, self._config.authority_life
        for _ in range(_MOST_STEPS):
            secret = await self._cluster.secret(self._config.namespace, f"{name}-ca")
            material = _authority_in(secret)
            held = authority.read(material).authorities
            trusted = bool(held) and await self._trusted(held[0].key_id, sole=len(held) == 1)
            match authority_step(held, now=now, trusted=trusted, replace=_asked(secret)):
                case Step.FOUND:
                    made = authority.found(name=name, now=now, life=life)
                case Step.STAGE:
                    made = authority.stage(material, name=name, now=now, life=life)
                case Step.PRUNE:
                    made = authority.prune(material, now=now)
                case _:
                    return material
            await self._write(
                secret,
                {_BUNDLE: made.bundle, _AUTHORITY_KEY: made.authority_key},
                "authority replaced" if held else "authority made",
            )
        raise _restless(self._config.full_name)

    async def _trusted(self, key_id: str, *, sole: bool) -> bool:
        """Whether every member of etcd has started since this authority came."""
        if not self._config.etcd_members:
            return True
        found = await self._cluster.call("get etcd", "GET", self._stateful_set)
        return has_started_with(found, STARTED_WITH, key_id=key_id, sole=sole)

    async def _restart(self, key_id: str, *, sole: bool) -> None:
        """Have etcd's members started again, one by one, so that they read the bundle."""
        if not self._config.etcd_members:
            return
        found = await self._cluster.call("get etcd", "GET", self._stateful_set)
        marks: dict[str, str] = found["spec"]["template"]["metadata"].get("annotations") or {}
        if marks.get(STARTED_WITH) == key_id or (STARTED_WITH not in marks and sole):
            return
        patch = {"spec": {"template": {"metadata": {"annotations": {STARTED_WITH: key_id}}}}}
        await self._cluster.call("restart etcd", "PATCH", self._stateful_set, patch, form=_MERGE)
        self._say("etcd is started again, one member after the other, to read the new authority")

    @property
    def _stateful_set(self) -> str:
        config = self._config
        return f"/apis/apps/v1/namespaces/{config.namespace}/statefulsets/{config.etcd}"

    async def _exists(self, namespace: str) -> bool:
        """Whether a namespace of apps is there; True too when that cannot be found out."""
        path = f"/api/v1/namespaces/{quote(namespace)}"
        try:
            found = await self._cluster.call("get namespace", "GET", path, missing={})
        except ClusterApiError as error:
            self._fail(f"{namespace}: {error}")
            return True
        if not found:
            self._fail(
                f"{namespace}: the namespace is gone, so its user of etcd is taken away; take it "
                "from store.namespaces, or create it and repeat the helm upgrade"
            )
        return bool(found)

    # --- a leaf -----------------------------------------------------------------------------------

    async def _make_secret(self, one: Wanted) -> None:
        """Make it, empty, unless it is there."""
        place = f"/api/v1/namespaces/{quote(one.namespace)}/secrets"
        path = f"{place}/{quote(one.secret)}"
        if await self._cluster.call("get secret", "GET", path, missing={}):
            return
        secret: Json = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": one.secret,
                "namespace": one.namespace,
                "labels": {"app.kubernetes.io/part-of": "tenure"},
            },
            "type": "Opaque",
        }
        await self._cluster.call("create secret", "POST", place, secret, conflict={})

    async def _leaf(self, one: Wanted, material: Material, *, now: float, trusted: bool) -> None:
        for _ in range(_MOST_STEPS):
            secret = await self._cluster.secret(one.namespace, one.secret)
            there = msgspec.structs.replace(
                material, certificate=text_of(secret, _CERTIFICATE), key=text_of(secret, _KEY)
            )
            held = authority.read(there)
            step = leaf_step(
                held.authorities,
                held.leaf,
                names=one.hosts,
                now=now,
                trusted=trusted,
                replace=_asked(secret),
            )
            made = there
            if step is Step.ISSUE:
                made = authority.issue(
                    material,
                    name=one.name,
                    names=one.hosts,
                    now=now,
                    life=self._config.certificate_life,
                )
            elif text_of(secret, _BUNDLE) == material.bundle:
                return
            place = "" if one.namespace == self._config.namespace else f"{one.namespace}/"
            what = f"{place}{one.secret}: " + (
                "certificate made" if step is Step.ISSUE else "told of it"
            )
            await self._write(
                secret,
                {_BUNDLE: made.bundle, _CERTIFICATE: made.certificate, _KEY: made.key},
                what,
            )
        raise _restless(one.secret)

    # --- Secrets ----------------------------------------------------------------------------------

    async def _write(self, secret: Json, texts: dict[str, bytes], what: str) -> None:
        metadata: Json = secret["metadata"]
        annotations: dict[str, str] = metadata.get("annotations") or {}
        marks = {key: text for key, text in annotations.items() if key != REPLACE}
        held: dict[str, str] = secret.get("data") or {}
        data = {
            **held,
            **{key: base64.b64encode(text).decode() for key, text in texts.items()},
        }
        changed = {**secret, "metadata": {**metadata, "annotations": marks}, "data": data}
        if await self._cluster.replace_secret(changed):
            self._say(what)

    def _say(self, what: str) -> None:
        self.done.append(what)
        _log.info("upkeep", done=what)

    def _fail(self, what: str) -> None:
        self.failed.append(what)
        _log.error("upkeep", failed=what)


def _authority_in(secret: Json) -> Material:
    return Material(bundle=text_of(secret, _BUNDLE), authority_key=text_of(secret, _AUTHORITY_KEY))


def _asked(secret: dict[str, Any]) -> bool:
    return REPLACE in (secret["metadata"].get("annotations") or {})


def text_of(secret: Json, key: str) -> bytes:
    """A key of a Secret, decoded; empty when it is not there."""
    held: dict[str, str] = secret.get("data") or {}
    try:
        return base64.b64decode(held.get(key) or "", validate=True)
    except (binascii.Error, ValueError) as error:
        name = secret["metadata"]["name"]
        message = (
            f"Secret '{name}', key '{key}': this is not base64; delete the key to have it made"
        )
        raise BadCertificateError(message) from error


def _restless(name: str) -> ClusterApiError:
    return ClusterApiError(f"the Secret of '{name}' is being changed all the time")
