"""The management API of the gateway, as the operator uses it.

A call whose outcome is unknown is repeated: a start and an event carry a key of their own, the verbs
have no second effect, and a look changes nothing.

When the gateway does not answer, a small question neither, calls fail at once instead of each waiting
for its own time-out; one small request at a time finds out when it is back, and whoever waits is told.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from tenure_common.errors import BadSettingError, GatewayRefusedError
from tenure_operator.app import AppView, Settings
from tenure_operator.breaker import Breaker
from tenure_operator.instance import Instance
from tenure_operator.reconcile.backoff import wished
from tenure_operator.reconcile.refusals import Refusal, refusal, unanswered
from tenure_operator.reconcile.steps import Configure, Raise, Start, Verb

_T = TypeVar("_T")

ANSWER_WITHIN: Final = 30.0  # seconds
CONNECT_WITHIN: Final = 5.0
SILENT_AFTER: Final = 45.0  # a watch tells at least that it is alive every 15 s
_MOST_OF_A_LINE: Final = 256 * 1024 * 1024
BODY: Final = "application/json"
_ALIVE: Final = aiohttp.ClientTimeout(total=CONNECT_WITHIN)  # of a small question


class App(NamedTuple):
    """Whose runs."""

    namespace: str
    app_id: str


class RefusedError(Exception):
    """A call did not work; ``refusal`` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Changed(msgspec.Struct, frozen=True, tag_field="type", tag="CHANGED"):
    """A run is now so."""

    instance: Instance
    cursor: str | None = None


class Deleted(msgspec.Struct, frozen=True, tag_field="type", tag="DELETED", rename="camel"):
    """A run was deleted."""

    instance_id: str
    cursor: str | None = None


class Reset(msgspec.Struct, frozen=True, tag_field="type", tag="RESET"):
    """All is told anew; what is not told then is gone."""


class Synced(msgspec.Struct, frozen=True, tag_field="type", tag="SYNCED"):
    """All that there is has been told."""

    cursor: str


class Alive(msgspec.Struct, frozen=True, tag_field="type", tag="ALIVE"):
    """Nothing has happened."""

    cursor: str


class _Error(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""


class Broken(msgspec.Struct, frozen=True, tag_field="type", tag="ERROR"):
    """The stream ends."""

    error: _Error


class _Started(msgspec.Struct, frozen=True):
    instance: Instance


Line = Changed | Deleted | Reset | Synced | Alive | Broken
_LINE: Final[msgspec.json.Decoder[Line]] = msgspec.json.Decoder(Line)


class Access(NamedTuple):
    """How to reach the gateway: a URL up to ``/v1alpha1``, in which ``{namespace}`` stands for the
    resource's; paths of files, empty = none; ``within`` are the seconds that an answer may take."""

    url: str
    token_file: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    within: float = ANSWER_WITHIN


class Gateway:
    """A client of the management API; all methods raise RefusedError."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._tls = _tls(access)
        self._session: aiohttp.ClientSession | None = None
        self.breaker = Breaker(self._alive)
        self._probed = ""
        self._away: Refusal | None = None  # what those are told who do not even try

    async def close(self) -> None:
        """Close the connections."""
        self.breaker.close()
        if self._session is not None:
            await self._session.close()

    async def look(self, app: App, instance_id: str) -> Instance | None:
        """A run; None when there is none."""
        try:
            content = await self._call("GET", self._one(app, instance_id))
        except RefusedError as error:
            if error.refusal.code == "TN0101":
                return None
            raise
        return _details(_decoded(content, Instance))

    async def start(self, app: App, step: Start) -> Instance:
        """Start a run, or find the one that this very request started before."""
        headers = {"Idempotency-Key": step.request_key}
        content = await self._call("POST", f"{self._app(app)}/instances", step.body, headers)
        return _decoded(content, _Started).instance

    async def steer(self, app: App, instance_id: str, verb: Verb) -> Instance | None:
        """Suspend, resume or terminate a run, which is returned; or purge it."""
        content = await self._call("POST", f"{self._one(app, instance_id)}/{verb}", {})
        return None if verb == "purge" else _details(_decoded(content, Instance))

    async def raise_event(self, step: Raise) -> None:
        """Raise an event."""
        one = self._one(App(step.namespace, step.app_id), step.instance_id)
        headers = {"Idempotency-Key": step.request_key}
        await self._call("POST", f"{one}/events/{quote(step.event, safe='')}", step.body, headers)

    async def app(self, app: App) -> AppView:
        """An app at a glance."""
        return _decoded(await self._call("GET", f"{self._app(app)}/status"), AppView)

    async def configure(self, app: App, step: Configure) -> Settings:
        """Set all settings of an app; those that hold then."""
        body = step._asdict()
        return _decoded(await self._call("PUT", f"{self._app(app)}/settings", body), Settings)

    async def watch(self, app: App, *, tag: str, cursor: str | None) -> AsyncIterator[Line]:
        """The runs with that tag: all of them, or what changed after ``cursor``; then each change."""
        query = {"tag": tag, "payloads": "true"} | ({} if cursor is None else {"cursor": cursor})
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_WITHIN, sock_read=SILENT_AFTER
        )
        url = f"{self._app(app)}/watch"
        try:
            async with self._open().get(
                url, params=query, headers=self._headers(), timeout=timeout, ssl=self._tls
            ) as answer:
                if answer.status != HTTPStatus.OK:
                    raise _refused(answer, await answer.read(), url)
                self.breaker.closed()
                async for text in _lines(answer.content):
                    yield _line(text)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise await self._unanswered(error, self._base(app)) from error

    async def _call(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        if self.breaker.open:
            raise RefusedError(self._away or unanswered(self.breaker.reason))
        base = url.partition("/apps/")[0]
        try:
            async with self._open().request(
                method,
                url,
                data=None if body is None else msgspec.json.encode(body),
                headers={**self._headers(), **(headers or {})},
                ssl=self._tls,
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise await self._unanswered(error, base) from error
        if answer.status < HTTPStatus.BAD_REQUEST:
            self.breaker.closed()
            return content
        refused = _refused(answer, content, url)
        if answer.status in _SAYS_AWAY:  # a proxy before it, or the gateway without its store
            await self._suspect(refused.refusal, base)
        else:
            self.breaker.closed()
        raise refused

    async def _unanswered(self, error: Exception, base: str) -> RefusedError:
        reason = f"no answer from the gateway at {base}: {str(error) or type(error).__name__}"
        self._renew(error)
        await self._suspect(unanswered(reason), base)
        return RefusedError(unanswered(reason))

    async def _suspect(self, refusal: Refusal, base: str) -> None:
        """Is it away for all, or is it this request alone?"""
        self._probed = base
        if not self.breaker.open:
            self._away = refusal
        await self.breaker.suspect(refusal.message, seconds=refusal.seconds)

    async def _alive(self) -> bool:
        """Whether the gateway answers at all; what it says does not matter."""
        try:
            async with self._open().get(
                f"{self._probed}/apps", headers=self._headers(), ssl=self._tls, timeout=_ALIVE
            ) as answer:
                self.breaker.wish(wished(answer.headers.get("Retry-After", "")))
                return answer.status not in _SAYS_AWAY
        except RefusedError:  # the token cannot be read: whoever calls is told so
            return True
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._renew(error)
            return False

    def _renew(self, error: Exception) -> None:
        """After a failure of TLS, read the files again: they may have been replaced since."""
        if isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
            with contextlib.suppress(BadSettingError):  # half replaced: at the next failure
                self._tls = _tls(self._access)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=64),
                timeout=aiohttp.ClientTimeout(
                    total=self._access.within, sock_connect=CONNECT_WITHIN
                ),
                headers={"Content-Type": BODY},
            )
        return self._session

    def _headers(self) -> dict[str, str]:
        if not self._access.token_file:
            return {}
        try:  # read each time: the file is replaced when the token is rotated
            token = Path(self._access.token_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            message = f"cannot read the gateway's token: {error}"
            raise RefusedError(refusal(GatewayRefusedError.code, 401, message)) from error
        return {"Authorization": f"Bearer {token}"}

    def _base(self, app: App) -> str:
        return self._access.url.rstrip("/").replace("{namespace}", quote(app.namespace, safe=""))

    def _app(self, app: App) -> str:
        return f"{self._base(app)}/apps/{quote(app.app_id, safe='')}"

    def _one(self, app: App, instance_id: str) -> str:
        return f"{self._app(app)}/instances/{quote(instance_id, safe='')}"


_SAYS_AWAY: Final = {502, 503, 504}


def _details(instance: Instance) -> Instance:
    return msgspec.structs.replace(instance, payloads=True)


def _decoded(content: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        message = f"the gateway's answer cannot be read: {error}"
        raise RefusedError(refusal(GatewayRefusedError.code, 502, message)) from error


def _line(text: bytes) -> Line:
    try:
        line = _LINE.decode(text)
    except msgspec.DecodeError as error:
        message = f"a line of the gateway's watch cannot be read: {error}"
        raise RefusedError(refusal(GatewayRefusedError.code, 502, message)) from error
    if isinstance(line, Changed):
        return msgspec.structs.replace(line, instance=_details(line.instance))
    return line


def _refused(answer: aiohttp.ClientResponse, content: bytes, url: str) -> RefusedError:
    status, seconds = answer.status, wished(answer.headers.get("Retry-After", ""))
    try:
        said = msgspec.json.decode(content, type=_Error)
    except msgspec.DecodeError:
        said = _Error()
    text = said.message or content[:200].decode(errors="replace")
    if status == HTTPStatus.UNAUTHORIZED:
        message = (
            f"the gateway at {url.partition('/apps/')[0]} does not know the operator: {text}; compare "
            "--gateway-token-file and --gateway-cert with the gateway's access file"
        )
        return RefusedError(refusal(GatewayRefusedError.code, status, message))
    if said.code:
        return RefusedError(refusal(said.code, status, said.message, seconds=seconds))
    message = f"{url} was answered {status}: {text}"
    if status in _SAYS_AWAY:
        return RefusedError(unanswered(message, seconds=seconds))
    return RefusedError(refusal(GatewayRefusedError.code, status, message, seconds=seconds))


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a stream; aiohttp's own way has a limit that an output of a run can exceed."""
    rest = bytearray()
    async for chunk in content.iter_any():
        rest += chunk
        if b"\n" in chunk:
            *whole, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            for line in whole:
                if line.strip():
                    yield line
        elif len(rest) > _MOST_OF_A_LINE:
            message = "the gateway sent a line that does not end"
            raise RefusedError(refusal(GatewayRefusedError.code, 502, message))


def _tls(access: Access) -> ssl.SSLContext | bool:
    if not access.url.startswith("https:"):
        return True
    try:
        context = ssl.create_default_context(cafile=access.ca or None)
        if access.cert:
            context.load_cert_chain(access.cert, access.key or None)
    except (OSError, ssl.SSLError) as error:
        message = f"the gateway's certificate files cannot be used: {error}"
        raise BadSettingError(message) from error
    return context
