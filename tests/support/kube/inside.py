"""The first process of a node, in namespaces of its own; see ``node``.

Run as a program with one argument, a JSON file.  It makes the node's file systems and network,
starts containerd, kubelet and kube-proxy, writes ``ready``, and reaps whatever is left to it.  When
it ends, the kernel ends everything else of the node.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

WAIT = 60.0  # seconds; a bound, not a target
# Fixed places of containerd, CNI and the kubelet: the node gets its own.
OWN = ("/run", "/var/log", "/var/lib")


def main(config: dict[str, Any]) -> None:
    """Run the node until it is killed."""
    folder = Path(config["folder"])
    _file_systems()
    _network(config)
    names: dict[int, str] = {}

    def start(name: str) -> None:
        with (folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                config["commands"][name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        names[process.pid] = name

    start("containerd")
    _until(lambda: _runs("ctr", "version"), "containerd")
    for image in config["images"]:
        subprocess.run(["ctr", "-n", "k8s.io", "images", "import", image], check=True)
    start("kubelet")
    start("kube-proxy")
    (folder / "ready").touch()
    while True:
        pid, status = os.wait()
        if pid in names:
            print(f"{names[pid]} ended with status {status}", flush=True)


def _file_systems() -> None:
    _do("mount", "--make-rprivate", "/")
    _do("mount", "--make-rshared", "/")
    for place in OWN:
        _do("mount", "-t", "tmpfs", "tmpfs", place)
    for place in ("/run/lock", "/var/lib/cni", "/var/lib/kubelet"):
        Path(place).mkdir(parents=True)


def _network(config: dict[str, Any]) -> None:
    socket.sethostname(config["name"])
    link = config["link"]
    _do("ip", "link", "set", "lo", "up")
    _until(lambda: Path(f"/proc/sys/net/ipv4/conf/{link}").exists(), f"link {link}")
    _do("ip", "address", "add", f"{config['address']}/30", "dev", link)
    _do("ip", "link", "set", link, "up")
    # A connection to a Service's address must get as far as the rules that translate it.
    _do("ip", "route", "add", config["services"], "dev", link)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    bridged = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if bridged.exists():
        bridged.write_text("1")


def _do(*command: str) -> None:
    subprocess.run(command, check=True)


def _runs(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _until(true: Any, what: str) -> None:
    deadline = time.monotonic() + WAIT
    while not true():
        if time.monotonic() > deadline:
            message = f"no {what} within {WAIT} s"
            raise SystemExit(message)
        time.sleep(0.05)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
