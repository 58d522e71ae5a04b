"""The programs of a Kubernetes cluster, built once from the sources that ``go/go.sum`` pins.

``programs()`` answers with a folder that holds, by these names::

    etcd                                                     3.6
    kube-apiserver  kube-controller-manager  kube-scheduler  1.34
    kubelet  kube-proxy  coredns                             for a node with real pods
    kubectl  helm                                            what a user types

They are static, so they run in a container of any kind, and say their real versions.  One build of
all nine is quickest, because they share most of their packages: about six minutes on two cores,
once.  The result, 600 MB, lives in the user's cache, ``$XDG_CACHE_HOME/tenure/kube/<hash of the pins
and flags>``; what the compiler needed meanwhile, seven times as much, is deleted.
``python -m support.kube.programs`` (with ``tests`` on the path) builds them and prints the folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.kube.toolchain import UnavailableError, cache_folder, go

SOURCE = Path(__file__).resolve().parent / "go"
BUILD_LIMIT = 2600.0  # seconds; a step of the tests may take 2700
SAY_EVERY = 10.0  # seconds between two lines of progress

KUBERNETES = "1.34.4"
HELM = "4.0.0"
PACKAGES: Mapping[str, str] = {
    "coredns": "./cmd/coredns",
    "etcd": "go.etcd.io/etcd/server/v3",
    "helm": "helm.sh/helm/v4/cmd/helm",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
}
FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")


def programs() -> Path:
    """The folder of the programs; they are built when they are not there yet.

    Raises: UnavailableError when this machine cannot build them, with the reason.
    """
    folder = cache_folder() / _key()
    ready = folder / ".ready"
    if ready.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test run may be building
        if not ready.exists():
            _build(folder)
            ready.touch()
    return folder


def pinned(module: str) -> str:
    """The version of a Go module that the programs are built from, without its ``v``."""
    for line in (SOURCE / "go.mod").read_text().splitlines():
        words = line.split()
        if words[:1] == [module]:
            return words[1].removeprefix("v")
    message = f"go.mod has no {module}"
    raise KeyError(message)


def _key() -> str:
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "cmd/coredns/main.go"):
        digest.update((SOURCE / name).read_bytes())
    digest.update(repr((sorted(PACKAGES.items()), FLAGS, _linker_flags())).encode())
    return digest.hexdigest()[:16]


def _linker_flags() -> str:
    """Strips the programs and tells them their versions, which a build from modules leaves out."""
    major, minor, _ = KUBERNETES.split(".")
    told: dict[str, str] = {}
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        told |= {
            f"{package}.gitVersion": f"v{KUBERNETES}",
            f"{package}.gitMajor": major,
            f"{package}.gitMinor": minor,
            f"{package}.gitCommit": "unknown",
            f"{package}.gitTreeState": "clean",
            f"{package}.buildDate": "1970-01-01T00:00:00Z",
        }
    helm = "helm.sh/helm/v4"
    told |= {
        f"{helm}/internal/version.version": f"v{HELM}",
        f"{helm}/internal/version.kubeClientVersionMajor": major,
        f"{helm}/internal/version.kubeClientVersionMinor": minor,
        f"{helm}/pkg/chart/common.k8sVersionMajor": major,
        f"{helm}/pkg/chart/common.k8sVersionMinor": minor,
    }
    return " ".join(("-s", "-w", *(f"-X {name}={value}" for name, value in told.items())))


def _build(folder: Path) -> None:
    compiler = str(go())
    _say(f"building {' '.join(sorted(PACKAGES))} (once, some minutes; into {folder})")
    started = time.monotonic()
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": " ".join((*FLAGS, "-modcacherw")),
        "GOMODCACHE": str(cache_folder() / "go-modules"),
        "GOCACHE": str(cache_folder() / "go-build"),
    }
    packages = tuple(PACKAGES.values())
    _run((compiler, "mod", "download"), environment)
    total = len(_run((compiler, "list", "-deps", *packages), environment).split())
    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        command = (compiler, "build", "-v", "-ldflags", _linker_flags(), "-o", f"{part}/")
        _compile((*command, *packages), environment, total=total)
        for name, package in PACKAGES.items():
            _name(part, name, package)
        part.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
        for cache in (environment["GOCACHE"], environment["GOMODCACHE"]):
            shutil.rmtree(cache)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    _say(f"built in {time.monotonic() - started:.0f} s")


def _name(folder: Path, name: str, package: str) -> None:
    """Call a program what users call it: Go names it after its import path."""
    for candidate in (name, *package.split("/")[-2:]):
        if (folder / candidate).exists():
            (folder / candidate).rename(folder / name)
            return
    message = f"the build of {package} left no program in {folder}"
    raise UnavailableError(message)


def _compile(command: Sequence[str], environment: Mapping[str, str], *, total: int) -> None:
    """Run the build at low priority; say how many packages are compiled."""
    began = said = time.monotonic()
    last: list[str] = []
    with subprocess.Popen(
        command, cwd=SOURCE, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        os.setpriority(os.PRIO_PROCESS, process.pid, 10)
        assert process.stderr is not None
        for done, line in enumerate(process.stderr, start=1):
            last = [*last[-30:], line]
            now = time.monotonic()
            if now - began > BUILD_LIMIT:
                process.kill()
                last.append(f"given up after {BUILD_LIMIT:.0f} s\n")
            elif now - said > SAY_EVERY:
                said = now
                _say(f"  {done} of {total} packages, {now - began:.0f} s")
    if process.returncode:
        message = f"go build failed:\n{''.join(last)}"
        raise UnavailableError(message)


def _run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    ran = subprocess.run(
        command,
        cwd=SOURCE,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_LIMIT,
    )
    if ran.returncode:
        message = f"{' '.join(command[:3])} failed:\n{ran.stderr.strip()}"
        raise UnavailableError(message)
    return ran.stdout


def _say(text: str) -> None:
    print(text, file=sys.__stderr__, flush=True)


if __name__ == "__main__":
    print(programs())
