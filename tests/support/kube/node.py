"""One node with real pods, beside a control plane on this machine.

containerd, kubelet and kube-proxy run in network, mount, process and host name namespaces of their
own, under one process (``inside``): when that is killed, all of it is gone.  One pair of linked
interfaces joins it to this machine, so that the API server reaches kubelet and webhooks, and a test
reaches pods and Services.  There is no way out: an image that is not loaded cannot be pulled, and
the attempt fails at once.

Needs root.  On this machine it makes one link, two routes and a cgroup, and takes them away again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.kube import images, inside
from support.kube.controlplane import SERVICES, ControlPlane
from support.kube.debian import Tools, tools
from support.kube.processes import NotReadyError, Program

NAME = "node"
HERE, THERE = "10.213.0.1", "10.213.0.2"  # this machine and the node on their link
LINK, LINK_INSIDE = "tenure-test", "tenure0"
PODS = "10.244.0.0/24"
DNS = "10.96.0.10"
CGROUP = "tenure-test"
LOCK = Path("/run/lock/tenure-test-node")
READY_WITHIN = 240.0  # seconds; a bound for a loaded machine, not a target
GONE_WITHIN = 90.0


class Node:
    """See the module docstring.  ``control_plane`` must listen on ``HERE``.

    Raises: UnavailableError when this machine cannot run a node.
    """

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        """Makes the address ``HERE``, which the control plane must have before it starts."""
        self.folder = folder
        self._plane = control_plane
        self._tools: Tools = tools()
        self._first: Program | None = None
        folder.mkdir(parents=True, exist_ok=True)
        # Names and addresses are the machine's: another test run waits here until this one is over.
        self._only = LOCK.open("w")
        fcntl.flock(self._only, fcntl.LOCK_EX)
        _unlink()
        _ip(f"link add {LINK} type veth peer name {LINK_INSIDE}")
        _ip(f"address add {HERE}/30 dev {LINK}")
        _ip(f"link set {LINK} up")

    def start(self, *archives: Path) -> None:
        """Start it with these images, and wait until pods can run.  Raises: NotReadyError."""
        _cgroup_made()
        config = self.folder / "node.json"
        config.write_text(json.dumps(self._config([*images.of_the_node(), *archives])))
        program = Program(
            "node",
            [
                *("unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork"),
                *("--kill-child=KILL", "--mount-proc", "--propagation", "private"),
                *(sys.executable, inside.__file__, config),
            ],
            log=self.folder / "node.log",
            env=self._tools.environment(),
        )
        self._first = program
        try:
            program.start()
            self._join(program)
            program.wait_until("start", (self.folder / "ready").exists, within=READY_WITHIN)
            program.wait_until("Ready", self._is_ready, within=READY_WITHIN)
            self._plane.kubectl("apply", "-f", str(self._dns()))
            self._plane.kubectl(
                *("-n", "kube-system", "wait", "--for=condition=Available"),
                *("deployment/coredns", "--timeout=240s"),
            )
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything; nothing is left on this machine."""
        if self._first is not None and self._first.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid(), signal.SIGKILL)
            self._first.kill()
        _unlink()  # sockets that nobody owns may hold the network for a while, and the link with it
        _cgroup_gone()
        self._only.close()

    def load(self, archive: Path) -> None:
        """Make an image known."""
        self.run("ctr", "-n", "k8s.io", "images", "import", str(archive))

    def run(self, *command: str) -> str:
        """What a program prints that runs in the node."""
        ran = subprocess.run(
            ["nsenter", "--target", str(self._pid()), "--net", "--mount", "--pid", *command],
            capture_output=True,
            text=True,
            check=False,
            env=self._tools.environment(),
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def log(self, name: str) -> str:
        """The log of ``containerd``, ``kubelet`` or ``kube-proxy``."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # --- parts ------------------------------------------------------------------------------------

    def _pid(self) -> int:
        """The first process, as this machine counts."""
        assert self._first is not None
        pid = self._first.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            message = f"the node's first process is not there\n{self._first.tail()}"
            raise NotReadyError(message)
        return int(children[0])

    def _join(self, program: Program) -> None:
        """Link this machine to the node's network."""
        own = Path("/proc/self/ns/net").readlink()
        program.wait_until(
            "network",
            lambda: Path(f"/proc/{self._pid()}/ns/net").readlink() != own,
            within=READY_WITHIN,
        )
        _ip(f"link set {LINK_INSIDE} netns {self._pid()}")
        _ip(f"route replace {PODS} via {THERE}")
        _ip(f"route replace {SERVICES} via {THERE}")

    def _is_ready(self) -> bool:
        node = self._plane.request(f"/api/v1/nodes/{NAME}")
        ready = {one["type"]: one["status"] for one in node["status"].get("conditions", [])}
        return ready.get("Ready") == "True" and not node["spec"].get("taints")

    def _config(self, archives: Sequence[Path]) -> dict[str, Any]:
        binaries = self._plane.bin
        certificates = self._plane.certificates
        return {
            "folder": str(self.folder),
            "name": NAME,
            "link": LINK_INSIDE,
            "address": THERE,
            "services": SERVICES,
            "images": [str(one) for one in archives],
            "commands": {
                "containerd": ["containerd", "--config", str(self._containerd())],
                "kubelet": [
                    str(binaries / "kubelet"),
                    f"--config={self._kubelet()}",
                    f"--kubeconfig={certificates.kubeconfig(self._plane.server, f'system:node:{NAME}')}",
                    f"--root-dir={self.folder / 'kubelet'}",
                    f"--cert-dir={self.folder / 'kubelet-pki'}",
                    f"--hostname-override={NAME}",
                    f"--node-ip={THERE}",
                ],
                "kube-proxy": [str(binaries / "kube-proxy"), f"--config={self._proxy()}"],
            },
        }

    def _containerd(self) -> Path:
        cni = self.folder / "cni"
        cni.mkdir(exist_ok=True)
        pods = {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "hairpinMode": True,
            "ipMasq": False,
            "ipam": {
                "type": "host-local",
                "dataDir": "/run/cni-ipam",
                "ranges": [[{"subnet": PODS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
        self._json(
            "cni/10-pods.conflist", {"cniVersion": "0.4.0", "name": "pods", "plugins": [pods]}
        )
        path = self.folder / "containerd.toml"
        path.write_text(f"""\
version = 2
root = "{self.folder}/containerd"
state = "/run/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{images.PAUSE}"
  # Without the right to lower it, a sandbox does not start.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{self._tools.cni}"
    conf_dir = "{cni}"
""")
        return path

    def _kubelet(self) -> Path:
        certificates = self._plane.certificates
        serving = certificates.issue("kubelet-serving", NAME, THERE)
        resolv = self.folder / "resolv.conf"
        resolv.write_text(f"nameserver {DNS}\n")
        return self._json(
            "kubelet.json",
            {
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                "authentication": {
                    "anonymous": {"enabled": False},
                    "webhook": {"enabled": True},
                    "x509": {"clientCAFile": str(certificates.authority)},
                },
                "authorization": {"mode": "Webhook"},
                "tlsCertFile": str(serving.certificate),
                "tlsPrivateKeyFile": str(serving.key),
                "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
                "cgroupDriver": "cgroupfs",
                "cgroupRoot": f"/{CGROUP}",
                "failCgroupV1": False,
                "failSwapOn": False,
                "clusterDNS": [DNS],
                "clusterDomain": "cluster.local",
                "resolvConf": str(resolv),
                "podLogsDir": str(self.folder / "pod-logs"),
                "makeIPTablesUtilChains": False,
                "serializeImagePulls": False,
                "imageGCHighThresholdPercent": 100,
                "imageGCLowThresholdPercent": 99,
                "evictionHard": {
                    "memory.available": "50Mi",
                    "nodefs.available": "0%",
                    "nodefs.inodesFree": "0%",
                    "imagefs.available": "0%",
                    "imagefs.inodesFree": "0%",
                },
                "kubeAPIQPS": 100,
                "kubeAPIBurst": 200,
                "syncFrequency": "10s",
                "volumePluginDir": str(self.folder / "volume-plugins"),
            },
        )

    def _proxy(self) -> Path:
        kubeconfig = self._plane.certificates.kubeconfig(self._plane.server, "system:kube-proxy")
        return self._json(
            "kube-proxy.json",
            {
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                "kind": "KubeProxyConfiguration",
                "mode": "nftables",
                "clientConnection": {"kubeconfig": str(kubeconfig)},
                "hostnameOverride": NAME,
                "clusterCIDR": PODS,
                "detectLocalMode": "ClusterCIDR",
                "bindAddress": THERE,
                "conntrack": {
                    "maxPerCore": 0,
                    "min": 0,
                    "tcpEstablishedTimeout": "0s",
                    "tcpCloseWaitTimeout": "0s",
                },
                "nftables": {"minSyncPeriod": "100ms"},
            },
        )

    def _dns(self) -> Path:
        """CoreDNS, which the cluster's names come from."""
        return self._json("coredns.json", images.coredns_objects(DNS))

    def _json(self, name: str, value: object) -> Path:
        path = self.folder / name
        path.write_text(json.dumps(value))
        return path


def _hierarchies() -> list[Path]:
    """Every v1 controller's tree of cgroups, and that of v2."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [Path(mount[1]) for mount in mounts if mount[2] in ("cgroup", "cgroup2")]


def _cgroup_made() -> None:
    for tree in _hierarchies():
        made = tree / CGROUP
        made.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (tree / name).exists():
                (made / name).write_text((tree / name).read_text())


def _cgroup_gone() -> None:
    deadline = time.monotonic() + GONE_WITHIN
    for tree in _hierarchies():
        for folder, _, _ in os.walk(tree / CGROUP, topdown=False):
            while time.monotonic() < deadline:
                try:
                    Path(folder).rmdir()
                except FileNotFoundError:
                    break
                except OSError:  # its last process is on its way out
                    time.sleep(0.05)
                else:
                    break


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True)


def _unlink() -> None:
    subprocess.run(["ip", "link", "delete", LINK], check=False, capture_output=True)
