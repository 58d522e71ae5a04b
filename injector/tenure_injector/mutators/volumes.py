"""What the engine finds in its file system besides its image: credentials, and no token."""

from __future__ import annotations

from typing import Final

from tenure_injector.edits import with_sidecar, with_spec
from tenure_injector.pods import Json, entries
from tenure_injector.sidecar import (
    PATH_CREDENTIALS,
    PATH_PEERS,
    PATH_TOKEN,
    VOLUME_CREDENTIALS,
    VOLUME_EMPTY,
    VOLUME_PEERS,
    Sidecar,
)

# The files belong to root and the engine is somebody else; no other container mounts the volume.
_READABLE: Final = 0o444


def mutate(pod: Json, sidecar: Sidecar) -> Json:
    """Add the volumes to the pod and mount them in the engine's container."""
    volumes: list[Json] = [{"name": VOLUME_EMPTY, "emptyDir": {"sizeLimit": "1Mi"}}]
    mounts: list[Json] = [{"name": VOLUME_EMPTY, "mountPath": PATH_TOKEN, "readOnly": True}]
    if sidecar.store_secret:
        source = {"secretName": sidecar.store_secret, "defaultMode": _READABLE}
        volumes.append({"name": VOLUME_CREDENTIALS, "secret": source})
        mounts.append({"name": VOLUME_CREDENTIALS, "mountPath": PATH_CREDENTIALS, "readOnly": True})
    if sidecar.peers_secret:
        # Optional: an app can do without lending, and the engine waits for the files.
        source = {"secretName": sidecar.peers_secret, "defaultMode": _READABLE, "optional": True}
        volumes.append({"name": VOLUME_PEERS, "secret": source})
        mounts.append({"name": VOLUME_PEERS, "mountPath": PATH_PEERS, "readOnly": True})
    mounts += [
        {"name": one.volume, "mountPath": one.path, "readOnly": True} for one in sidecar.mounts
    ]
    mounts += [{"name": one.volume, "mountPath": one.path} for one in sidecar.writable_mounts]
    pod = with_spec(pod, "volumes", [*entries(pod["spec"], "volumes"), *volumes])
    return with_sidecar(pod, lambda container: {**container, "volumeMounts": mounts})
