"""The certificates of a control plane: one authority, everything that it vouches for, on disk.

A name in Kubernetes is the subject of a client certificate: the common name is the user, the
organisation is the group.  ``system:masters`` may do everything.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

ADMIN = "admin"
CONTROLLERS = "system:kube-controller-manager"
SCHEDULER = "system:kube-scheduler"
_GROUPS = {ADMIN: "system:masters"}
_SERVES = (
    "127.0.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "10.96.0.1",  # the Service's address
)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Certificates:
    """One authority and its files below ``folder``."""

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        """``address`` is the API server's, besides loopback."""
        folder.mkdir(parents=True)
        self._folder = folder
        self._authority = trustme.CA(organization_name="tenure tests")
        self.authority = folder / "ca.crt"
        self._authority.cert_pem.write_to_path(self.authority)
        self.authority_key = folder / "ca.key"
        self._authority.private_key_pem.write_to_path(self.authority_key)
        # Who vouches for the API server when it calls servers that extend it, and for nobody else.
        self._front = trustme.CA(organization_name="tenure tests, front proxy")
        self.front_authority = folder / "front-proxy-ca.crt"
        self._front.cert_pem.write_to_path(self.front_authority)
        self.server = self.issue("apiserver", *{*_SERVES, address})
        self.etcd = self.issue("etcd", "127.0.0.1", "localhost")
        self.tokens_key, self.tokens_public = self._token_keys()

    def issue(self, name: str, *hosts: str, group: str | None = None) -> Pair:
        """A certificate for ``name`` that clients and, with ``hosts``, servers show."""
        # Go refuses a certificate whose list of names is there and empty, so clients get one too.
        names = hosts or ("client.invalid",)
        leaf = self._authority.issue_cert(*names, common_name=name, organization_name=group)
        return self._write(name, leaf)

    def _write(self, name: str, leaf: trustme.LeafCert) -> Pair:
        plain = name.replace(":", "-")
        pair = Pair(self._folder / f"{plain}.crt", self._folder / f"{plain}.key")
        leaf.cert_chain_pems[0].write_to_path(pair.certificate)
        leaf.private_key_pem.write_to_path(pair.key)
        return pair

    def front_proxy(self, name: str = "front-proxy-client") -> Pair:
        """A certificate of the front proxies' authority."""
        leaf = self._front.issue_cert("client.invalid", common_name=name)
        return self._write(f"front-{name}", leaf)

    def kubeconfig(self, server: str, user: str) -> Path:
        """A kubeconfig with which ``user`` is known to the API server at ``server``."""
        pair = self.issue(user, group=_group(user))
        secrets = {
            "client-certificate-data": _base64(pair.certificate),
            "client-key-data": _base64(pair.key),
        }
        return self.write_kubeconfig(server, user, secrets)

    def write_kubeconfig(self, server: str, user: str, credentials: dict[str, str]) -> Path:
        """A kubeconfig with these credentials (``{"token": …}`` for a service account)."""
        path = self._folder / f"{user.replace(':', '-')}.kubeconfig"
        cluster = {"server": server, "certificate-authority-data": _base64(self.authority)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        }
        path.write_text(json.dumps(document))
        path.chmod(0o600)
        return path

    def _token_keys(self) -> tuple[Path, Path]:
        """The key that signs service account tokens, and its public half."""
        key = ec.generate_private_key(ec.SECP256R1())
        private, public = self._folder / "tokens.key", self._folder / "tokens.pub"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        public.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        return private, public


def _group(user: str) -> str | None:
    return "system:nodes" if user.startswith("system:node:") else _GROUPS.get(user)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
