"""The management API as a part of the Kubernetes API: requests that its API server passes on.

::

    kubectl ──► API server: who is it? may they? (RBAC) ──► gateway: is it the API server? ──► fleet
                                        path as it was, X-Remote-User

The API server has authenticated the caller, and has allowed a verb on a resource that it reads from
the path::

    /apis/manage.tenure.dev/v1alpha1/namespaces/shop/apps/orders/instances/order-42
                                                shop  └ resource apps/instances, verb of the method

So whoever may ``get`` ``apps/instances`` in a namespace may read there, and whoever may ``create`` it
may change; here nothing is known of roles.  Three things hold that up:

* Only a certificate of the authority that the cluster names for this, with a name that it names, is
  the API server.  The port takes no other connection; a caller's own word never counts.
* The namespace and the kind of verb are read from the path again, in the API server's own way.  Paths
  that two programs could read in two ways are refused.
* A path that begins with ``watch`` is the verb ``watch`` whatever the method is: it only reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

import msgspec
import structlog
from aiohttp import web

from tenure_common import names
from tenure_common.errors import (
    AccessError,
    BadSettingError,
    BadTokenError,
    ForeignCallerError,
)
from tenure_sidecar.http.access import Caller, shown
from tenure_sidecar.http.manage import server as manage
from tenure_sidecar.http.manage.server import CALLER
from tenure_sidecar.http.middleware import MAX_BODY_BYTES, errors, headers, limit, refuse
from tenure_sidecar.http.secure import LOOK_EVERY, Place, Secured, SecureServer
from tenure_sidecar.http.tls import TlsFiles, ToldClients

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from tenure_sidecar.http.manage.api import Apps

_log = structlog.get_logger(__name__)

PREFIX: Final = f"/apis/{names.MANAGE_GROUP}"
VERSION: Final = f"{PREFIX}/{names.API_VERSION}"
API_SERVICE: Final = f"{names.API_VERSION}.{names.MANAGE_GROUP}"
CONFIG_MAP: Final = ("kube-system", "extension-apiserver-authentication")
_READS: Final = frozenset({"GET", "HEAD"})


class FrontProxy(msgspec.Struct, frozen=True, kw_only=True):
    """How the cluster's API server is known, and where it says for whom it calls."""

    authorities: str  # PEM
    names: tuple[str, ...]  # common names; empty = any name that the authorities have certified
    user_headers: tuple[str, ...]


def front_proxy(data: Mapping[str, str]) -> FrontProxy:
    """What the cluster says in the ConfigMap ``CONFIG_MAP``.

    Raises: BadSettingError when the API server calls no other server (it was not told to).
    """
    found = FrontProxy(
        authorities=data.get("requestheader-client-ca-file", ""),
        names=_listed(data, "requestheader-allowed-names"),
        user_headers=_listed(data, "requestheader-username-headers"),
    )
    if not found.authorities or not found.user_headers:
        message = (
            "the API server calls no server that extends it: start it with "
            "--requestheader-client-ca-file and --proxy-client-cert-file, or say "
            "--kubernetes-api=false"
        )
        raise BadSettingError(message)
    return found


def _listed(data: Mapping[str, str], key: str) -> tuple[str, ...]:
    try:
        return msgspec.json.decode(data.get(key) or "[]", type=tuple[str, ...])
    except msgspec.DecodeError as error:
        message = f"'{key}' of ConfigMap {'/'.join(CONFIG_MAP)} is no list of texts: {error}"
        raise BadSettingError(message) from error


class Scope(NamedTuple):
    """What the API server has allowed: in a namespace (empty = none), only to read or not."""

    namespace: str
    read_only: bool


def scope(method: str, raw_path: str) -> Scope:
    """What the API server has allowed when it passes on a request of this path, still encoded.

    Raises: ForeignCallerError for a path that it could have read in another way than we do.
    """
    path = unquote(raw_path.partition("?")[0])
    parts = path.removeprefix("/").split("/")
    if "%2f" in raw_path.lower() or any(part in {"", ".", ".."} for part in parts):
        message = "a path with empty parts, '.', '..' or '%2F' is not served here"
        raise ForeignCallerError(message)
    inside = parts[3:]  # after apis/GROUP/VERSION
    watches = inside[:1] == ["watch"]
    if watches:
        inside = inside[1:]
    namespace = inside[1] if inside[:1] == ["namespaces"] and len(inside) > 1 else ""
    return Scope(namespace, watches or method in _READS)


class Front:
    """Says for whom the API server sent a request."""

    def __init__(self, front: Callable[[], FrontProxy]) -> None:
        self._front = front
        self._before: FrontProxy | None = None
        self.refused = 0  # requests

    def look(self) -> bool:
        """Whether the API server is known by other signs than before."""
        now = self._front()
        changed = self._before is not None and self._before != now
        self._before = now
        return changed

    def caller(self, request: web.Request) -> Caller:
        """Who sent it.  Raises: BadTokenError, ForeignCallerError."""
        front = self._front()
        transport = request.transport
        certificate = None if transport is None else transport.get_extra_info("peercert")
        who = shown(certificate)
        if who is None or (front.names and who.common_name not in front.names):
            message = "only the cluster's API server may call here"
            raise BadTokenError(message)
        allowed = scope(request.method, request.raw_path)
        users = [value for name in front.user_headers for value in request.headers.getall(name, [])]
        if not users and allowed.namespace:
            message = "the API server does not say for whom it calls"
            raise BadTokenError(message)
        name = users[0] if users else ""
        return Caller(name, frozenset({allowed.namespace} - {""}), allowed.read_only)

    def middleware(self) -> Middleware:
        """Refuses whoever is not the API server; requests get their ``CALLER``."""

        @web.middleware
        async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                caller = self.caller(request)
            except AccessError as error:
                self.refused += 1
                _log.warning("request refused", code=error.code, reason=error.message)
                response = refuse(request, error, error.code)
                if request.can_read_body:
                    response.force_close()  # nobody reads a body of a stranger
                return response
            request[CALLER] = caller
            if request.method not in _READS:
                _log.info("asked to change", user=caller.name, path=request.path)
            return await handler(request)

        return gate


class ClusterServer(SecureServer):
    """Serves ``apps`` to the API server, from ``start`` to ``stop``; ``run`` it beside."""

    def __init__(
        self,
        apps: Apps,
        *,
        place: Place,
        files: TlsFiles,
        front: Callable[[], FrontProxy],
        look_every: float = LOOK_EVERY,
    ) -> None:
        """Nothing is read, and nothing listens yet; see ``SecureServer``.

        Args:
            apps: what is served.
            place: where.
            files: the server's certificate and key.
            front: how the API server is known, as of now.
            look_every: seconds between two looks at files and ``front``.
        """
        self.front = Front(front)
        app = web.Application(
            middlewares=[self.front.middleware(), errors, limit(MAX_BODY_BYTES)],
            client_max_size=MAX_BODY_BYTES,
        )
        app.router.add_get(PREFIX, _group)
        app.router.add_get(VERSION, _resources)
        manage.install(app, apps, alone=True, under=PREFIX)
        app.on_response_prepare.append(headers)

        def authorities() -> bytes:
            return front().authorities.encode()

        told = f"ConfigMap {'/'.join(CONFIG_MAP)}"
        tls = ToldClients(files._replace(client_ca=told), authorities)
        super().__init__(
            app,
            place=place,
            files=Secured(tls),
            gate=self.front,
            look_every=look_every,
            # Who is known by other signs has to show them.
            changed=lambda: manage.end_long(app, lambda _caller: True),
        )

    def check(self, found: tuple[str, ...]) -> None:
        """It is, anywhere: a connection without the API server's certificate is not made."""


# --- what the API server asks before it passes anything on ----------------------------------------


def _json(value: object) -> web.Response:
    return web.Response(body=json.dumps(value).encode(), content_type="application/json")


async def _group(_request: web.Request) -> web.Response:
    version = {
        "groupVersion": f"{names.MANAGE_GROUP}/{names.API_VERSION}",
        "version": names.API_VERSION,
    }
    return _json(
        {
            "kind": "APIGroup",
            "apiVersion": "v1",
            "name": names.MANAGE_GROUP,
            "versions": [version],
            "preferredVersion": version,
        }
    )


async def _resources(_request: web.Request) -> web.Response:
    # Subresources alone: their answers are no Kubernetes objects, and `kubectl get` leaves these alone.
    verbs = {
        "instances": ["create", "get", "update", "watch"],
        "jobs": ["create", "get"],
        "settings": ["delete", "get", "update"],
        "status": ["get"],
        "counts": ["get"],
        "watch": ["watch"],
        "dry-run": ["create"],
    }
    return _json(
        {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": f"{names.MANAGE_GROUP}/{names.API_VERSION}",
            "resources": [
                {
                    "name": f"apps/{name}",
                    "singularName": "",
                    "namespaced": True,
                    "kind": "App",
                    "verbs": those,
                }
                for name, those in verbs.items()
            ],
        }
    )
