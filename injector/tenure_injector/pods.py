"""A pod as decisions read it: few fields, each with its type checked.

The pod itself stays what came in, plain JSON, because a patch must not touch what this version has
never heard of.  ``Pod`` is a second, typed view of the same bytes: whatever a decision or a mutator
reads has passed through it, so that a pod of the wrong shape is refused here, with the path of the
offending field, and nowhere later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tenure_common.errors import BadReviewError

Json = dict[str, Any]


def part(document: Json, key: str) -> Json:
    """The object under ``key``; an empty one when it is absent or null."""
    return document.get(key) or {}


def entries(document: Json, key: str) -> list[Json]:
    """The objects listed under ``key``; none when the list is absent or null."""
    return document.get(key) or []


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    """Base: Kubernetes writes its keys in camel case; keys that are not named are passed over."""


class Owner(_Part, frozen=True):
    """What made the pod."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class Metadata(_Part, frozen=True):
    """The pod's names and marks."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[Owner] | None = None


class ContainerPort(_Part, frozen=True):
    """A port that a container says it listens on."""

    container_port: int = 0
    protocol: str | None = None


class EnvironmentVariable(_Part, frozen=True):
    """A variable; where its value comes from does not matter here."""

    name: str = ""


class Container(_Part, frozen=True):
    """A container or init container."""

    name: str = ""
    ports: list[ContainerPort] | None = None
    env: list[EnvironmentVariable] | None = None


class Volume(_Part, frozen=True):
    """A volume; what is in it does not matter here."""

    name: str = ""


class OperatingSystem(_Part, frozen=True):
    """What the pod's node must run."""

    name: str = ""


class Spec(_Part, frozen=True):
    """What runs in the pod."""

    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    host_network: bool | None = None
    os: OperatingSystem | None = None
    node_selector: dict[str, str] | None = None
    restart_policy: str | None = None


class Pod(_Part, frozen=True):
    """The typed view."""

    metadata: Metadata = Metadata()
    spec: Spec = Spec()

    @property
    def annotations(self) -> Mapping[str, str]:
        """Its annotations, {} when it has none."""
        return self.metadata.annotations or {}

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels, {} when it has none."""
        return self.metadata.labels or {}

    @property
    def title(self) -> str:
        """What people call it; while it is being created it may only have the start of a name."""
        return self.metadata.name or f"{self.metadata.generate_name or 'unnamed'}..."

    @property
    def controller(self) -> Owner | None:
        """The owner that manages the pod, if any."""
        owners = self.metadata.owner_references or []
        return next((owner for owner in owners if owner.controller), None)

    def containers(self) -> Iterator[Container]:
        """All containers, those that run before the others first."""
        yield from self.spec.init_containers or []
        yield from self.spec.containers or []


_decoder = msgspec.json.Decoder(Pod)


def decode(raw: bytes | msgspec.Raw) -> tuple[Pod, Json]:
    """The typed view and the pod as it is.  Raises: BadReviewError, naming the field."""
    try:
        pod = _decoder.decode(raw)
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"the review's object is not a pod: {_reason(error)}"
        raise BadReviewError(message) from error
    if not isinstance(document.get("spec"), dict):
        message = "the review's object is not a pod: it has no spec"
        raise BadReviewError(message)
    return pod, document


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
