"""A real Kubernetes control plane on loopback: etcd, API server, controllers, scheduler.

What runs is what runs in a cluster, with certificates of its own and RBAC on; only the durability
of etcd is switched off.  There is no node: a pod stays Pending.  It is ready about three seconds
after ``start``.  Each program can be stopped and started by itself, which is how tests take the API
server away; ports and data stay.
"""

from __future__ import annotations

import json
import ssl
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

from support.kube.between import Between
from support.kube.certificates import ADMIN, CONTROLLERS, SCHEDULER, Certificates
from support.kube.kubectl import Kubectl
from support.kube.processes import Program
from support.kube.programs import programs
from support.ports import free_ports

READY_WITHIN = 180.0  # seconds; a bound for a loaded machine, not a target
ANSWER_WITHIN = 60.0  # seconds
ISSUER = "https://kubernetes.default.svc.cluster.local"
SERVICES = "10.96.0.0/16"

_Words = tuple[str, str, str | None, dict[str, str]]  # of a request: method, path, body, headers
_Answer = tuple[int, bytes]  # status, content


class RefusedError(AssertionError):
    """The API server refused a request."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class ControlPlane:
    """One cluster without nodes; everything that it writes is below ``folder``.

    Raises: UnavailableError when this machine cannot build the programs.
    """

    def __init__(self, folder: Path, *, address: str = "127.0.0.1") -> None:
        """``address`` is where the API server is reached; on another one than loopback a node can
        reach it, too (``node``)."""
        self.folder = folder
        self._address = address
        self.bin = programs()
        folder.mkdir(parents=True, exist_ok=True)
        self.certificates = Certificates(folder / "pki", address)
        etcd_port, peer_port, port = free_ports(3)
        self.server = f"https://{address}:{port}"
        self.admin = self.certificates.kubeconfig(self.server, ADMIN)
        self.kubectl = Kubectl(
            self.bin / "kubectl", self.admin, cache=folder / "kubectl-cache", read=self.request
        )
        self.etcd = self._etcd(etcd_port, peer_port)
        self.apiserver = self._apiserver(port, etcd_port)
        self.controllers = self._with_kubeconfig(
            "kube-controller-manager", CONTROLLERS, self._controller_flags()
        )
        self.scheduler = self._with_kubeconfig("kube-scheduler", SCHEDULER, ())
        self._context = ssl.create_default_context(cafile=str(self.certificates.authority))
        admin = self.certificates.issue("admin-of-tests", group="system:masters")
        self._context.load_cert_chain(admin.certificate, admin.key)
        self._idle: list[HTTPSConnection] = []

    def start(self) -> None:
        """Start everything and wait until it can be used.  Raises: NotReadyError."""
        try:
            self.etcd.start()
            self.start_apiserver()
            self.controllers.start()
            self.scheduler.start()
            account = "/api/v1/namespaces/default/serviceaccounts/default"
            self.controllers.wait_until(
                "default service account", lambda: self.request(account), within=READY_WITHIN
            )
        except BaseException:
            self.stop()
            raise

    def start_apiserver(self) -> None:
        """Start the API server and wait for it (and so for etcd)."""
        self.apiserver.start()
        self.apiserver.wait_until(
            "/readyz", lambda: self.raw("/readyz") == b"ok", within=READY_WITHIN
        )

    def stop(self) -> None:
        """Stop everything; nothing is left running."""
        while self._idle:
            self._idle.pop().close()
        for program in (self.scheduler, self.controllers, self.apiserver, self.etcd):
            program.kill()

    def raw(
        self, path: str, *, method: str = "GET", body: object = None, form: str = "json"
    ) -> bytes:
        """One request to the API server as its administrator.  Raises: RefusedError, OSError."""
        text = None if body is None else json.dumps(body)
        words = (method, path, text, {"Content-Type": f"application/{form}"})
        status, content = self._read_again(words) or self._exchange(self._connection(), words)
        if status >= HTTPStatus.BAD_REQUEST:
            raise RefusedError(status, content.decode(errors="replace"))
        return content

    def _connection(self) -> HTTPSConnection:
        host, _, port = self.server.removeprefix("https://").partition(":")
        return HTTPSConnection(host, int(port), context=self._context, timeout=ANSWER_WITHIN)

    def _read_again(self, words: _Words) -> _Answer | None:
        """Read on a connection that there is, as what is looked at again and again is: TLS costs both
        sides more than the answer.  None when there is none, or the server has closed it since."""
        if words[0] != "GET":
            return None
        try:
            return self._exchange(self._idle.pop(), words)
        except TimeoutError:
            raise
        except (IndexError, OSError, HTTPException):
            return None

    def _exchange(self, connection: HTTPSConnection, words: _Words) -> _Answer:
        try:
            connection.request(*words)
            answer = connection.getresponse()
            content = answer.read()
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return answer.status, content

    def request(
        self, path: str, *, method: str = "GET", body: object = None, form: str = "json"
    ) -> Any:
        """As ``raw``, with the answer decoded."""
        return json.loads(self.raw(path, method=method, body=body, form=form))

    def account_kubeconfig(self, namespace: str, account: str, *, through: str = "") -> Path:
        """A kubeconfig with a token of an existing service account; ``through`` is the URL of a proxy
        to use in the server's place."""
        token = self.kubectl("-n", namespace, "create", "token", account).strip()
        name = f"{namespace}-{account}" + ("-through" if through else "")
        server = through or self.server
        return self.certificates.write_kubeconfig(server, name, {"token": token})

    def between(self) -> Between:
        """A proxy in front of the API server, which passes on who asks."""
        tls = ssl.create_default_context(cafile=str(self.certificates.authority))
        return Between(self.server, tls)

    def _program(self, name: str, *flags: str) -> Program:
        return Program(name, [self.bin / name, *flags], log=self.folder / f"{name}.log")

    def _etcd(self, port: int, peer_port: int) -> Program:
        certificates = self.certificates
        url, peers = f"https://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
        return self._program(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            f"--cert-file={certificates.etcd.certificate}",
            f"--key-file={certificates.etcd.key}",
            f"--trusted-ca-file={certificates.authority}",
            "--client-cert-auth",
            "--log-level=warn",
        )

    def _apiserver(self, port: int, etcd_port: int) -> Program:
        certificates = self.certificates
        client = certificates.issue("apiserver-etcd-client")
        return self._program(
            "kube-apiserver",
            *self._reached(),
            f"--secure-port={port}",
            f"--etcd-servers=https://127.0.0.1:{etcd_port}",
            f"--etcd-cafile={certificates.authority}",
            f"--etcd-certfile={client.certificate}",
            f"--etcd-keyfile={client.key}",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC",
            f"--client-ca-file={certificates.authority}",
            f"--tls-cert-file={certificates.server.certificate}",
            f"--tls-private-key-file={certificates.server.key}",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={certificates.tokens_public}",
            f"--service-account-signing-key-file={certificates.tokens_key}",
            *self._extended(),
            "--profiling=false",
        )

    def _extended(self) -> tuple[str, ...]:
        """Flags by which it calls servers that extend the API, as kubeadm sets them."""
        front = self.certificates.front_proxy()
        return (
            f"--proxy-client-cert-file={front.certificate}",
            f"--proxy-client-key-file={front.key}",
            f"--requestheader-client-ca-file={self.certificates.front_authority}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        )

    def _reached(self) -> tuple[str, ...]:
        if self._address == "127.0.0.1":
            return (
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
            )
        kubelet = self.certificates.issue("apiserver-kubelet-client", group="system:masters")
        return (
            "--bind-address=0.0.0.0",
            f"--advertise-address={self._address}",
            f"--kubelet-client-certificate={kubelet.certificate}",
            f"--kubelet-client-key={kubelet.key}",
            f"--kubelet-certificate-authority={self.certificates.authority}",
            "--kubelet-preferred-address-types=InternalIP",
        )

    def _with_kubeconfig(self, name: str, user: str, flags: tuple[str, ...]) -> Program:
        path = self.certificates.kubeconfig(self.server, user)
        return self._program(
            name,
            f"--kubeconfig={path}",
            f"--authentication-kubeconfig={path}",
            f"--authorization-kubeconfig={path}",
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=100",
            "--kube-api-burst=200",
            "--profiling=false",
            *flags,
        )

    def _controller_flags(self) -> tuple[str, ...]:
        certificates = self.certificates
        return (
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={certificates.tokens_key}",
            f"--root-ca-file={certificates.authority}",
            f"--cluster-signing-cert-file={certificates.authority}",
            f"--cluster-signing-key-file={certificates.authority_key}",
        )
