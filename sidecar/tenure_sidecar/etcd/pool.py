"""Connections to the members of one etcd cluster, and which of them is used.

Each member has a channel that connects by itself and again after a break.  Calls go to one member
until it fails; then to the next one that is connected.  A call is only handed to a channel that *is*
connected: so "could not connect" always means that nothing was sent.

gRPC looks up a name again ever more rarely, up to once in two minutes, while the name has no address.
A channel that does not connect is therefore replaced: the new one looks at once, and finds a service
that came back with another address.

gRPC's own retries are off: they would repeat writes.  Two pools never share a connection.

When certificates are replaced, new connections are made beside the old ones, which serve until a new
one stands: files of which only one was written yet, or which etcd does not take, cost nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import grpc
import grpc.aio
import structlog

from tenure_common.errors import BadSettingError, EtcdUnavailableError
from tenure_sidecar.etcd.access import Tls, channel_credentials

_log = structlog.get_logger(__name__)

_OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),  # also how long one attempt may take
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ("grpc.keepalive_time_ms", 10_000),  # etcd allows one in 5 s
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
)
_READY = grpc.ChannelConnectivity.READY
_SHUTDOWN = grpc.ChannelConnectivity.SHUTDOWN
_TLS_CHECK = 10.0  # seconds between looks at the files
_GRACE = 5.0  # seconds for calls on connections that are replaced
_CONNECT = 5.0  # seconds for a channel to connect, before it is replaced


class Method(NamedTuple):
    """One RPC: its path, the classes of its messages, and whether it may change something."""

    path: str
    request: Any
    response: Any
    write: bool = False


Dial = Callable[[str, grpc.ChannelCredentials | None], Any]  # grpc's own types are not complete


def dial(target: str, credentials: grpc.ChannelCredentials | None) -> Any:  # noqa: ANN401
    """A channel to ``target`` (host:port), with TLS when there are credentials."""
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=_OPTIONS)
    return grpc.aio.secure_channel(target, credentials, options=_OPTIONS)


class Endpoint:
    """One member's address and the channel to it.

    Args:
        url: for people.
        dial: makes a channel to it.
        wake: set whenever it is connected.
    """

    def __init__(self, url: str, dial: Callable[[], Any], wake: asyncio.Event) -> None:
        self.url = url
        self.channel = dial()
        self._dial = dial
        self._wake = wake
        self._calls: dict[str, Any] = {}
        self._task = asyncio.get_running_loop().create_task(self._follow(), name=f"etcd {url}")

    @property
    def connected(self) -> bool:
        """Whether a call would leave at once."""
        return self._state() is _READY

    def _state(self) -> grpc.ChannelConnectivity:
        state: grpc.ChannelConnectivity = self.channel.get_state(try_to_connect=True)
        return state

    async def _follow(self) -> None:
        """Keep connecting, and tell when connected."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CONNECT):
                    while (state := self._state()) is not _READY:
                        if state is _SHUTDOWN:
                            return
                        await self.channel.wait_for_state_change(state)
            if self.connected:
                self._wake.set()
                await self.channel.wait_for_state_change(_READY)
            else:
                old, self.channel = self.channel, self._dial()
                self._calls.clear()
                await old.close()

    def unary(self, method: Method) -> Any:  # noqa: ANN401 - grpc's own type is not generic
        """The callable of a unary RPC."""
        call = self._calls.get(method.path)
        if call is None:
            call = self.channel.unary_unary(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
            self._calls[method.path] = call
        return call

    def stream(self, method: Method, metadata: tuple[tuple[str, str], ...]) -> Any:  # noqa: ANN401
        """A new call of a bidirectional RPC."""
        call = self.channel.stream_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return call(metadata=metadata)

    async def close(self, grace: float | None = None) -> None:
        """Disconnect; calls under way have ``grace`` seconds to end."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.channel.close(grace)


class Pool:
    """See the module docstring.

    Args:
        urls: ``http://host:port`` or ``https://host:port``, all of one kind.
        tls: for https.
        clock: monotonic, seconds.
        dial: makes a member's channel.

    Raises: BadSettingError.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        tls: Tls | None,
        clock: Callable[[], float],
        dial: Dial = dial,
    ) -> None:
        schemes = {url.partition("://")[0] for url in urls}
        if len(schemes) != 1 or not schemes <= {"http", "https"}:
            message = f"etcd endpoints {', '.join(urls)!r}: write http://host:port,… or https://…"
            raise BadSettingError(message)
        self._urls = tuple(urls)
        self._tls = (tls or Tls()) if schemes == {"https"} else None
        self._clock = clock
        self._dial = dial
        self._files = None if self._tls is None else self._tls.read()
        self._check_at = clock() + _TLS_CHECK
        self._wake = asyncio.Event()
        self._first = 0
        self._endpoints = self._connect()
        self._coming: list[Endpoint] = []  # with newer certificates, until one is connected
        self._retired: set[asyncio.Task[None]] = set()

    def _connect(self) -> list[Endpoint]:
        credentials = None if self._files is None else channel_credentials(self._files)
        return [
            Endpoint(url, partial(self._dial, url.partition("://")[2], credentials), self._wake)
            for url in self._urls
        ]

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """One for each member, in the order of the URLs."""
        return self._endpoints

    def left(self, endpoint: Endpoint) -> bool:
        """Whether there is another in its place, with newer certificates."""
        return endpoint not in self._endpoints

    async def ready(self, within: float) -> Endpoint:
        """An endpoint that is connected, the one used last if possible.

        Args:
            within: seconds to wait for a connection.

        Raises: EtcdUnavailableError.
        """
        self.look()
        if (endpoint := self._pick()) is not None:
            return endpoint
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while True:
                    self._wake.clear()
                    self._renew()
                    if (endpoint := self._pick()) is not None:
                        return endpoint
                    await self._wake.wait()
        self._check_at = 0.0  # perhaps the certificates are the cause, and were just replaced
        message = (
            f"cannot connect to etcd at {', '.join(self._urls)} within {within:g} s; "
            "nothing was changed; check that it runs, the addresses and the certificates"
        )
        raise EtcdUnavailableError(message)

    def _pick(self) -> Endpoint | None:
        count = len(self._endpoints)
        for step in range(count):
            place = (self._first + step) % count
            if self._endpoints[place].connected:
                self._first = place
                return self._endpoints[place]
        return None

    def failed(self, endpoint: Endpoint) -> None:
        """``endpoint`` did not answer as it should: calls go to the next one."""
        if self._endpoints[self._first] is endpoint:
            self._first = (self._first + 1) % len(self._endpoints)

    def look(self) -> None:
        """Make the connections anew when the certificates changed."""
        self._renew()
        if self._tls is None or self._clock() < self._check_at:
            return
        self._check_at = self._clock() + _TLS_CHECK
        try:
            files = self._tls.read()
        except BadSettingError as error:  # being replaced just now: the old ones still serve
            _log.warning("etcd certificates cannot be read", error=str(error))
            return
        if files == self._files:
            return
        _log.info("etcd certificates changed, connecting anew")
        self._files = files
        self._retire(self._coming, 0.0)
        self._coming = self._connect()

    def _renew(self) -> None:
        """Leave the old connections, once one with the newer certificates stands."""
        if any(endpoint.connected for endpoint in self._coming):
            self._retire(self._endpoints, _GRACE)
            self._endpoints, self._coming = self._coming, []

    def _retire(self, endpoints: Sequence[Endpoint], grace: float) -> None:
        for endpoint in endpoints:
            task = asyncio.get_running_loop().create_task(endpoint.close(grace))
            self._retired.add(task)
            task.add_done_callback(self._retired.discard)

    async def close(self) -> None:
        """Disconnect from all members."""
        for task in self._retired:
            task.cancel()
        await asyncio.gather(*self._retired, return_exceptions=True)
        await asyncio.gather(*(one.close() for one in (*self._endpoints, *self._coming)))
