"""Who we are to etcd: certificates from files, and a user's token.

Files are read again when they change (a rotated secret), and the connections made anew; a
connection that stands keeps the certificate it was made with, as TLS has it.

A token is what etcd gives for a name and a password.  It ends by itself after minutes; etcd then
refuses a request *before* looking at it, so that the request can be sent again with a new token.
All who wait for a token share one login: each costs etcd a tenth of a second (it compares a hash), and
with one for each call they would wait for each other, longer than any call may take.

An etcd whose administrator switched authentication off gives no tokens, and looks at none.  Then calls
go without, until etcd wants to know who they are again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import msgspec
import structlog

from tenure_common.errors import BadSettingError

_log = structlog.get_logger(__name__)


class Tls(msgspec.Struct, frozen=True):
    """PEM files.  ``ca`` empty = the roots that gRPC brings; ``cert`` and ``key`` = ours, for etcd
    to know us by (mutual TLS)."""

    ca: str = ""
    cert: str = ""
    key: str = ""

    def read(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """The files' contents: ca, key, cert.  Raises: BadSettingError."""
        return _read(self.ca), _read(self.key), _read(self.cert)


class User(msgspec.Struct, frozen=True):
    """A user of etcd."""

    name: str
    password: str


def _read(path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        message = f"cannot read '{path}' for TLS to etcd: {error.strerror}"
        raise BadSettingError(message) from error


def channel_credentials(
    files: tuple[bytes | None, bytes | None, bytes | None],
) -> grpc.ChannelCredentials:
    """Credentials made of what ``Tls.read`` returned."""
    return grpc.ssl_channel_credentials(*files)


class Tokens:
    """The token of ``user``, asked for when it is first needed and when it went stale.

    Args:
        user: None = no tokens at all.
        authenticate: asks etcd for a token; empty = it gives none, and needs none.
    """

    def __init__(self, user: User | None, authenticate: Callable[[User], Awaitable[str]]) -> None:
        self._user = user
        self._authenticate = authenticate
        self._token: str | None = None  # None = to be asked for
        self._login: asyncio.Task[None] | None = None

    @property
    def in_use(self) -> bool:
        """Whether there are any."""
        return self._user is not None

    async def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call: that the member must have a leader, and the token.

        Raises: StoreError, when etcd does not give one.
        """
        if self._user is None:
            return _LEADER
        while self._token is None:
            if self._login is None or self._login.done():
                self._login = asyncio.get_running_loop().create_task(
                    self._log_in(self._user), name="etcd login"
                )
            await asyncio.shield(self._login)
        return (*_LEADER, ("token", self._token)) if self._token else _LEADER

    async def _log_in(self, user: User) -> None:
        self._token = await self._authenticate(user)
        if not self._token:
            _log.warning("etcd asks nobody who they are: its authentication is off", user=user.name)

    def stale(self, metadata: tuple[tuple[str, str], ...]) -> bool:
        """The token in ``metadata``, or that there is none, was refused; returns whether a new one may
        be asked for."""
        if self._user is None:
            return False
        if dict(metadata).get("token", "") == self._token:
            self._token = None
        return True

    async def close(self) -> None:
        """Ask for no more."""
        if self._login is not None:
            self._login.cancel()
            await asyncio.gather(self._login, return_exceptions=True)


_LEADER = (("hasleader", "true"),)
