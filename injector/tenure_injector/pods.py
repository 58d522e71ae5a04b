"""A pod as decisions read it: few fields, each with its type checked.

Whatever a decision or a mutator reads is in ``Pod``, so that a pod of the wrong shape is refused here,
with the path of the offending field, and nowhere later.  Mutators change the same as plain JSON: what
is not in it, because this version has never heard of it, no patch can touch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from tenure_common.errors import BadReviewError

Json = dict[str, Any]


def part(document: Json, key: str) -> Json:
    """The object under ``key``; an empty one when it is absent or null."""
    return document.get(key) or {}


def entries(document: Json, key: str) -> list[Json]:
    """The objects listed under ``key``; none when the list is absent or null."""
    return document.get(key) or []


class _Part(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base: Kubernetes writes its keys in camel case; keys that are not named are passed over.

    Where a patch may add to a list or an object it matters whether that is null (None) or absent
    (UNSET); both are false.
    """


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
    labels: dict[str, str] | UnsetType | None = UNSET
    annotations: dict[str, str] | UnsetType | None = UNSET
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
    env: list[EnvironmentVariable] | UnsetType | None = UNSET


class Volume(_Part, frozen=True):
    """A volume; what is in it does not matter here."""

    name: str = ""


class OperatingSystem(_Part, frozen=True):
    """What the pod's node must run."""

    name: str = ""


class Spec(_Part, frozen=True):
    """What runs in the pod."""

    volumes: list[Volume] | UnsetType | None = UNSET
    init_containers: list[Container] | UnsetType | None = UNSET
    containers: list[Container] | UnsetType | None = UNSET
    host_network: bool | None = None
    os: OperatingSystem | None = None
    node_selector: dict[str, str] | None = None
    restart_policy: str | None = None


class Pod(_Part, frozen=True):
    """A pod, the part of it that matters."""

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


_NO_SPEC: Final = Pod().spec
_MOUNTS: Final = ("/volume-mounts", "/volume-mounts-rw")  # ends of annotations that ask for some
_TOKEN_VOLUME: Final = "kube-api-access-"  # noqa: S105 - a name, whose end is another in each pod
_decoder = msgspec.json.Decoder(Pod)
_encoder = msgspec.json.Encoder()


def decode(raw: bytes | msgspec.Raw) -> Pod:
    """The part of a pod that matters.  Raises: BadReviewError, naming the field.

    The name of a volume matters where annotations ask for mounts, and nowhere else; so elsewhere the
    API server's own volume loses the random end of its name, in which replicas differ.
    """
    try:
        str(memoryview(raw), "utf-8")  # the decoder does not look at what it passes over
        pod = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"the review's object is not a pod: {_reason(error)}"
        raise BadReviewError(message) from error
    if pod.spec is _NO_SPEC:
        message = "the review's object is not a pod: it has no spec"
        raise BadReviewError(message)
    if not any(name.endswith(_MOUNTS) for name in pod.annotations):
        volumes = pod.spec.volumes or []
        for index, volume in enumerate(volumes):
            if volume.name.startswith(_TOKEN_VOLUME):
                volumes[index] = Volume(name=_TOKEN_VOLUME)
    return pod


def encode(pod: Pod) -> bytes:
    """JSON of which ``decode`` makes the same pod."""
    return _encoder.encode(pod)


def document(pod: Pod) -> Json:
    """The pod as mutators change it: lists are whole, objects have the keys that ``Pod`` has."""
    made: Json = msgspec.to_builtins(pod)
    return made


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
