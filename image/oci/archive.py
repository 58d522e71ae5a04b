"""Writing an image as one file: the OCI image layout in a tar archive.

What any engine loads (``docker load``, ``ctr images import``, ``skopeo copy oci-archive:…``).  The
same entries give the same bytes: names are sorted, times are the epoch, owners are root.

https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_INDEX = "application/vnd.oci.image.index.v1+json"
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Entry:
    """One name in a layer: a file with content (bytes, or the file to copy), a link with a target,
    or a directory with neither.  ``path`` has no slash in front."""

    path: str
    content: bytes | Path | None = None
    target: str = ""
    mode: int = 0o644


@dataclass(frozen=True, kw_only=True)
class Image:
    """What an image runs."""

    name: str  # with its tag
    architecture: str
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    user: str = "65532:65532"
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Blob:
    """A layer that lies in a file."""

    file: Path
    digest: str
    size: int


def layer(entries: Iterable[Entry], file: Path) -> Blob:
    """Write a layer's tar to ``file``.  Parents that are not named are made, mode 755.

    Raises: ValueError when a name is there twice.
    """
    named: dict[str, Entry] = {}
    for entry in entries:
        if entry.path in named:
            message = f"'{entry.path}' is there twice"
            raise ValueError(message)
        named[entry.path] = entry
    for path in list(named):
        for parent in Path(path).parents:
            if str(parent) != "." and str(parent) not in named:
                named[str(parent)] = Entry(str(parent), mode=0o755)
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(named):
            _add(tar, named[path])
    return _blob(file)


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mode = entry.mode
    if entry.target:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
        tar.addfile(info)
    elif entry.content is None:
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    elif isinstance(entry.content, bytes):
        info.size = len(entry.content)
        tar.addfile(info, io.BytesIO(entry.content))
    else:
        info.size = entry.content.stat().st_size
        with entry.content.open("rb") as data:
            tar.addfile(info, data)


def _blob(file: Path) -> Blob:
    with file.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    return Blob(file, digest, file.stat().st_size)


def write(image: Image, layers: Sequence[Blob], out: Path) -> str:
    """Write the archive; the manifest's digest, which is the image's."""
    config = _json(_config(image, layers))
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _described(_CONFIG, config),
            "layers": [
                {"mediaType": _LAYER, "digest": f"sha256:{one.digest}", "size": one.size}
                for one in layers
            ],
        }
    )
    index = _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [_named(image, manifest)]})
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        _put(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _put(tar, "index.json", index)
        for data in (manifest, config):
            _put(tar, f"blobs/sha256/{hashlib.sha256(data).hexdigest()}", data)
        for digest, one in {one.digest: one for one in layers}.items():
            with one.file.open("rb") as source:
                _stream(tar, f"blobs/sha256/{digest}", source, one.size)
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def _config(image: Image, layers: Sequence[Blob]) -> dict[str, Any]:
    run: dict[str, Any] = {
        "User": image.user,
        "Env": [f"{name}={value}" for name, value in image.env.items()],
        "WorkingDir": "/",
        "Labels": dict(image.labels),
    }
    if image.entrypoint:
        run["Entrypoint"] = list(image.entrypoint)
    if image.command:
        run["Cmd"] = list(image.command)
    return {
        "created": _EPOCH,
        "architecture": image.architecture,
        "os": "linux",
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one.digest}" for one in layers]},
        "history": [{"created": _EPOCH, "created_by": "image/build.py"} for _ in layers],
    }


def _named(image: Image, manifest: bytes) -> dict[str, Any]:
    tag = image.name.rpartition(":")[2]
    return {
        **_described(_MANIFEST, manifest),
        "platform": {"architecture": image.architecture, "os": "linux"},
        "annotations": {
            "io.containerd.image.name": image.name,
            "org.opencontainers.image.ref.name": tag,
        },
    }


def _described(kind: str, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _put(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    _stream(tar, name, io.BytesIO(data), len(data))


def _stream(tar: tarfile.TarFile, name: str, data: BinaryIO, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    tar.addfile(info, data)
