"""The management API as the command line calls it: values in, values out, errors with their code.

It uses what Python brings: a command has to be there at once, and one call does not need more.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote, urlencode

from tenure_cli.connect import Target
from tenure_cli.unix import Unix
from tenure_common.errors import (
    AccessError,
    BadSettingError,
    NoGatewayError,
    NoSuchInstanceError,
    ServerUnreachableError,
    StateError,
    TenureError,
    TransportError,
    UsageError,
    by_code,
)

TIMEOUT: Final = 30.0  # seconds until a server that says nothing counts as gone

_SERVER: Final = "the server"
_FAMILIES: Final[Mapping[int, type[TenureError]]] = {
    400: UsageError,
    401: AccessError,
    403: AccessError,
    404: NoSuchInstanceError,
    409: StateError,
    503: TransportError,
}

Query = Mapping[str, str | int | bool | Sequence[str] | None]
Json = dict[str, Any]
Refused = Callable[[int, bytes], TenureError | None]


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Tenure sends nobody elsewhere, and elsewhere nobody is to get our token."""

    def redirect_request(self, *_args: object, **_named: object) -> None:
        """Do not go there: the answer is an error."""


class Api:
    """One app on one server."""

    def __init__(self, target: Target, *, refused: Refused = lambda _status, _body: None) -> None:
        """``refused`` knows the errors of whoever passes requests on to the server."""
        self._target = target
        self._refused = refused
        handlers: list[urllib.request.BaseHandler] = [
            # No proxy: the server is named by who calls, and is mostly on this machine.
            urllib.request.ProxyHandler({}),
            _StayHere(),
        ]
        if target.server.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=_tls(target)))
        if target.socket:
            handlers.append(Unix(target.socket))
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, *path: str, _lasting: float | None = None, **query: Any) -> Json:
        """One answer; parameters that are None are left out.

        ``_lasting``: seconds that it may take, where that can be minutes.  Raises: TenureError.
        """
        parts, timeout = self._parts(path), TIMEOUT if _lasting is None else _lasting
        lasting = _lasting is not None
        with self._open("GET", parts, query, timeout=timeout, lasting=lasting) as answer:
            return self._read(answer)

    def apps(self) -> list[Json]:
        """The apps of the namespace, or of all that we may see.  Raises: TenureError."""
        parts = (*self._within, "apps")
        with self._open("GET", parts, {}, timeout=TIMEOUT) as answer:
            return list(self._read(answer)["items"])

    def post(self, *path: str, body: Json | None, _key: str | None = None) -> Json:
        """Send ``body``, None = nothing; the answer.  Raises: TenureError.

        ``_key``: a repeat with the same key changes nothing more.
        """
        parts = self._parts(path)
        with self._open("POST", parts, {}, body=body, key=_key, timeout=TIMEOUT) as answer:
            return self._read(answer)

    def lines(self, *path: str, **query: Any) -> Iterator[Json]:
        """The lines of a stream, as they come.  Raises: TenureError."""
        with self._open("GET", self._parts(path), query, timeout=None, lasting=True) as answer:
            try:
                for line in answer:
                    yield _object(line)
            except (OSError, HTTPException, ValueError) as error:
                raise self._broken(error) from None

    def _read(self, answer: Any) -> Json:
        """The object that was answered.  Raises: ServerUnreachableError."""
        try:
            return _object(answer.read())
        except (OSError, HTTPException, ValueError) as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> ServerUnreachableError:
        if isinstance(error, OSError | HTTPException):
            why = f"the answer of {self._target.server} broke off ({error!r}): try again"
            return ServerUnreachableError(why)
        return _foreign(self._target.server, str(error))

    def _error(self, error: urllib.error.HTTPError, body: bytes) -> TenureError:
        try:
            view = json.loads(body)
            code, message = str(view["code"]), str(view["message"])
        except (ValueError, KeyError, TypeError):
            text = body.decode(errors="replace").strip()[:200]
            what = f"{error.code} {error.reason}: {text}".rstrip(": ")
            return _foreign(self._target.server, what)
        cls = by_code(code)
        if cls.code != code:  # of a newer server: what its status says counts
            family = _FAMILIES.get(error.code, TenureError)
            cls = type(family.__name__, (family,), {"code": code})
        return cls(message)

    @property
    def _within(self) -> tuple[str, ...]:
        return ("namespaces", self._target.namespace) if self._target.namespace else ()

    def _parts(self, path: Sequence[str]) -> tuple[str, ...]:
        return (*self._within, "apps", self._target.app, *path)

    def _url(self, parts: Sequence[str], *, lasting: bool) -> str:
        target = self._target
        if target.nested:
            parts = [quote(one, safe="") for one in parts]
        base = target.lasting if lasting and target.lasting else target.base
        return "/".join((target.server + base, *(quote(one, safe="") for one in parts)))

    def _open(
        self,
        method: str,
        parts: Sequence[str],
        query: Query,
        *,
        timeout: float | None,
        lasting: bool = False,
        body: Json | None = None,
        key: str | None = None,
    ) -> Any:
        target = self._target
        url = self._url(parts, lasting=lasting)
        parameters = [(name, _text(value)) for name, value in query.items() if value is not None]
        if parameters:
            url += "?" + urlencode(parameters, doseq=True)
        headers = {"Accept": "application/json"}
        if target.token:
            # An app's own server knows the one header, a gateway the other.
            headers["dapr-api-token"] = target.token
            headers["Authorization"] = f"Bearer {target.token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
            return self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            body_of_it = error.read()
            raise self._refused(error.code, body_of_it) or self._error(error, body_of_it) from None
        except (OSError, ValueError, HTTPException) as error:
            # Of a handshake that ends late, urllib passes the error on as it is.
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, ssl.SSLError):
                message = _handshake(target, reason)
            elif target.socket:
                message = f"the connection through kubectl broke ({reason})"
                raise NoGatewayError(message) from None
            else:
                message = (
                    f"cannot reach {target.server} ({reason}): is `tenure dev` running there? "
                    "--server, TENURE_SERVER or --context names another one"
                )
            raise ServerUnreachableError(message) from None


def _tls(target: Target) -> ssl.SSLContext:
    """Raises: BadSettingError."""
    try:
        context = ssl.create_default_context(cafile=target.ca or None)
        if target.cert:
            context.load_cert_chain(target.cert, target.key)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(f"'{one}'" for one in (target.ca, target.cert, target.key) if one)
        message = f"the context's certificate files ({files}) cannot be used: {error}"
        raise BadSettingError(message) from error
    return context


def _handshake(target: Target, error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{target.server} shows a certificate that is not trusted ({error.verify_message}): "
            "the context's ca-file names who vouches for it"
        )
    return (
        f"{target.server} ended the TLS handshake ({error.reason or error}): does it speak TLS, and "
        "are the context's cert-file and key-file of an authority that it trusts?"
    )


def _object(text: bytes) -> Json:
    """Raises: ValueError."""
    if not text.lstrip().startswith(b"{"):
        message = "not a JSON object"
        raise ValueError(message)
    return _Answered(json.loads(text, object_hook=_Answered))


class _Answered(Json):
    """An object of an answer; what looks for a field that is not in it has met another server."""

    def __missing__(self, field: str) -> Any:
        """Raises: ServerUnreachableError."""
        what = f"'{field}' is not in its answer"
        raise _foreign(_SERVER, what)


def _foreign(server: str, what: str) -> ServerUnreachableError:
    why = f"{server} does not answer as Tenure does ({what}): is it another program?"
    return ServerUnreachableError(why)


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value
