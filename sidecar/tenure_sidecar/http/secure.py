"""A server that may be called from anywhere: TLS, callers that are known, files that change.

On a loopback address it may do without both, because nobody but programs of the machine can call.
Anywhere else it does not start without.

Certificates and the access file are looked at now and then.  What is new counts for the next
handshake and for the next request; connections that stand are not touched.  asyncio's own server
keeps the context that it began with, so connections are accepted here, each with the context of the
moment.  Files that cannot be used (one was replaced, the other not yet) are told of, and the old ones
stay in use.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import structlog
from aiohttp import web

from tenure_common.errors import BadSettingError, TenureError
from tenure_sidecar.actors.loops import Loops
from tenure_sidecar.http.access import ANYBODY, Access, Caller, parse, shown
from tenure_sidecar.http.guard import from_elsewhere
from tenure_sidecar.http.manage.server import CALLER
from tenure_sidecar.http.middleware import refuse
from tenure_sidecar.http.tls import Contents, Tls
from tenure_sidecar.rpc.ports import addresses, is_loopback, refusal

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

_log = structlog.get_logger(__name__)

LOOK_EVERY: Final = 10.0  # seconds
_HANDSHAKE: Final = 10.0  # seconds
_HANDSHAKES: Final = 1024  # at a time; more wait in the backlog
_BACKLOG: Final = 512
_PAUSE: Final = 0.5  # seconds, when there is no file descriptor left for a connection


class Place(NamedTuple):
    """Where to listen, and the flags that say so."""

    host: str
    port: int
    flag: str = "--port"


class Secured(NamedTuple):
    """The files; ``tls`` None = none, ``access`` empty = none."""

    tls: Tls | None = None
    access: str = ""


def require_safe(found: tuple[str, ...], host: str, files: Secured) -> None:
    """Whether it is safe to listen on the addresses ``found`` for ``host``.

    Raises: BadSettingError.
    """
    if files.tls is not None and bool(files.tls.certificate) != bool(files.tls.key):
        message = "--tls-cert and --tls-key go together"
        raise BadSettingError(message)
    if files.tls is not None and files.tls.client_ca and not files.access:
        message = (
            "--client-ca says whose certificates are right; --access-file has to say who may call"
        )
        raise BadSettingError(message)
    if all(map(is_loopback, found)):
        return
    lacking = [
        flag
        for flag, there in (
            ("--tls-cert and --tls-key", files.tls is not None),
            ("--access-file", bool(files.access)),
        )
        if not there
    ]
    if lacking:
        message = (
            f"--host '{host}' can be reached from other machines, and nobody may call from there "
            f"unencrypted or without saying who it is: give {' and '.join(lacking)}, or listen on "
            "127.0.0.1"
        )
        raise BadSettingError(message)


class Gate:
    """Says who sent a request, by the access file of the moment."""

    def __init__(self, files: Secured) -> None:
        self._file = files.access
        self._tls = files.tls
        self._text: str | None = None
        self._access: Access | None = None
        self.refused = 0  # requests

    def look(self) -> bool:
        """Read the file; whether it is another than before.  Raises: BadSettingError."""
        if not self._file:
            return False
        try:
            text = Path(self._file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            message = f"cannot read the access file '{self._file}': {error}"
            raise BadSettingError(message) from error
        if text == self._text:
            return False
        access = parse(text, file=self._file)
        if access.by_certificate and (self._tls is None or not self._tls.client_ca):
            message = (
                f"the access file '{self._file}' names certificates; --client-ca has to say who "
                "issues them"
            )
            raise BadSettingError(message)
        self._text, self._access = text, access
        return True

    def caller(self, request: web.Request) -> Caller:
        """Who sent it.  Raises: BadTokenError, NotPermittedError."""
        if self._access is None:
            return ANYBODY
        transport = request.transport
        certificate = None if transport is None else transport.get_extra_info("peercert")
        return self._access.caller(request.headers.getall("Authorization", []), shown(certificate))

    def knows(self, caller: Caller) -> bool:
        """Whether a caller of before is one now."""
        return self._access is None or self._access.knows(caller)

    def middleware(self) -> Middleware:
        """Refuses what comes from web pages and from strangers; requests get their ``CALLER``."""

        @web.middleware
        async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            foreign = from_elsewhere(request.headers, hosts=() if self._access is None else None)
            try:
                if foreign is not None:
                    raise foreign.error
                request[CALLER] = self.caller(request)
            except TenureError as error:
                self.refused += 1
                _log.warning(
                    "request refused", code=error.code, reason=error.message, remote=request.remote
                )
                response = refuse(request, error, error.code)
                if error.http == 401:  # noqa: PLR2004 - HTTP's own number
                    response.headers["WWW-Authenticate"] = "Bearer"
                if request.can_read_body:
                    response.force_close()  # nobody reads a body of a stranger
                return response
            return await handler(request)

        return gate


class Callers(Protocol):
    """Who may call, as a server needs it: ``Gate``, or another way to know callers."""

    def look(self) -> bool:
        """Take what is new; whether the callers are others.  Raises: BadSettingError."""
        ...


class SecureServer:
    """An application behind a gate, at a place, with files."""

    def __init__(  # noqa: PLR0913 - what a server needs to know
        self,
        app: web.Application,
        *,
        place: Place,
        files: Secured,
        gate: Callers,
        grace: float = 2.0,
        look_every: float = LOOK_EVERY,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is read, and nothing listens yet.

        Args:
            app: what is served; the gate's middleware must be its first.
            place: where.
            files: certificates and callers.
            gate: of ``app``.
            grace: seconds that a stop waits for open requests.
            look_every: seconds between two looks at the files.
            changed: called when the callers are others than before.
        """
        self._app = app
        self._place = place
        self._files = files
        self._gate = gate
        self._grace = grace
        self._look_every = look_every
        self._changed = changed
        self._contents: Contents | None = None
        self._sockets: list[socket.socket] = []
        self._context: ssl.SSLContext | None = None
        self._handshakes = asyncio.Semaphore(_HANDSHAKES)
        self._loops = Loops()
        self._runner: web.AppRunner | None = None
        self.reloads = 0
        self.bad_reloads = 0

    async def start(self) -> int:
        """Listen; returns the port.  Raises: BadSettingError, PortInUseError."""
        place = self._place
        found = addresses(place.host)
        self.check(found)
        self._gate.look()
        self._renew()
        port = place.port
        try:
            for address in found:
                self._sockets.append(_bound(address, port, place.flag, both=len(found) == 1))
                port = int(self._sockets[-1].getsockname()[1])
            runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=self._grace)
            await runner.setup()
            self._runner = runner
        except BaseException:
            await self.stop()
            raise
        for one in self._sockets:
            self._loops.start("accept connections", partial(self._accept, one))
        return port

    def check(self, found: tuple[str, ...]) -> None:
        """Whether it is safe to listen on the addresses.  Raises: BadSettingError."""
        require_safe(found, self._place.host, self._files)

    def _renew(self) -> bool:
        """Use the certificates of the files; whether they are others.  Raises: BadSettingError."""
        if self._files.tls is None:
            return False
        contents = self._files.tls.read()
        if contents == self._contents:
            return False
        self._context = self._files.tls.context(contents)
        self._contents = contents
        return True

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._handshakes.acquire()
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError as error:
                self._handshakes.release()
                _log.warning("cannot accept a connection", error=str(error))
                await asyncio.sleep(_PAUSE)
            except BaseException:
                self._handshakes.release()
                raise
            else:
                self._loops.spawn("handshake", self._connect(accepted))

    async def _connect(self, accepted: socket.socket) -> None:
        runner = self._runner
        context = self._context
        try:
            if runner is None or runner.server is None:  # it is being stopped
                accepted.close()
                return
            await asyncio.get_running_loop().connect_accepted_socket(
                runner.server,
                accepted,
                ssl=context,
                ssl_handshake_timeout=None if context is None else _HANDSHAKE,
            )
        except OSError as error:  # of theirs: no TLS, a certificate that nobody vouches for, gone
            accepted.close()
            _log.debug("a connection was not made", reason=str(error))
        finally:
            self._handshakes.release()

    def look(self) -> None:
        """Take what is new in the files; those that cannot be used change nothing."""
        try:
            if self._gate.look():
                self.reloads += 1
                _log.info("access file changed")
                self._changed()
        except BadSettingError as error:
            self._bad(error)
        try:
            if self._renew():
                self.reloads += 1
                _log.info("certificates changed")
        except BadSettingError as error:
            self._bad(error)

    def _bad(self, error: BadSettingError) -> None:
        self.bad_reloads += 1
        _log.warning("new files cannot be used, the old ones stay", error=str(error))

    async def run(self) -> None:
        """Look, wait, for ever."""
        while True:
            await asyncio.sleep(self._look_every)
            self.look()

    async def stop(self) -> None:
        """Stop listening and end what is open; safe to call twice or before ``start``."""
        await self._loops.stop()
        for one in self._sockets:
            one.close()
        runner, self._runner, self._sockets = self._runner, None, []
        if runner is not None:
            await runner.cleanup()


def _bound(address: str, port: int, flag: str, *, both: bool) -> socket.socket:
    """``both``: on ``::``, callers over IPv4 too."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(
                socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both or address != "::")
            )
        made.bind((address, port))
        made.listen(_BACKLOG)
        made.setblocking(False)  # noqa: FBT003 - the standard library's signature
    except OSError as error:
        made.close()
        raise refusal(error, address, port, flag=flag) from error
    return made
