"""The management API as the command line calls it: values in, values out, errors with their code.

It uses what Python brings: a command has to be there at once, and one call does not need more.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from tenure_cli.connect import Target
from tenure_common.errors import BadSettingError, ServerUnreachableError, TenureError, by_code

_VERSION: Final = "/v1alpha1"
TIMEOUT: Final = 30.0  # seconds until a server that says nothing counts as gone

Query = Mapping[str, str | int | bool | Sequence[str] | None]
Json = dict[str, Any]


class Api:
    """One app on one server."""

    def __init__(self, target: Target) -> None:
        self._target = target
        handlers: list[urllib.request.BaseHandler] = [
            # No proxy: the server is named by who calls, and is mostly on this machine.
            urllib.request.ProxyHandler({})
        ]
        if target.server.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=_tls(target)))
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, *path: str, _timeout: float = TIMEOUT, **query: Any) -> Json:
        """One answer; parameters that are None are left out.  ``_timeout`` in seconds.

        Raises: TenureError.
        """
        with self._open("GET", path, query, timeout=_timeout) as answer:
            return dict(json.load(answer))

    def post(self, *path: str, body: Json) -> Json:
        """Send ``body``; the answer.  Raises: TenureError."""
        with self._open("POST", path, {}, body=body, timeout=TIMEOUT) as answer:
            return dict(json.load(answer))

    def lines(self, *path: str, **query: Any) -> Iterator[Json]:
        """The lines of a stream, as they come.  Raises: TenureError."""
        with self._open("GET", path, query, timeout=None) as answer:
            for line in answer:
                yield dict(json.loads(line))

    def _open(
        self,
        method: str,
        path: Sequence[str],
        query: Query,
        *,
        timeout: float | None,
        body: Json | None = None,
    ) -> Any:
        target = self._target
        within = ("namespaces", target.namespace) if target.namespace else ()
        parts = (*within, "apps", target.app, *path)
        url = "/".join((target.server + _VERSION, *(quote(one, safe="") for one in parts)))
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
        try:
            request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
            return self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            raise _error(error) from None
        except (OSError, ValueError) as error:
            # Of a handshake that ends late, urllib passes the error on as it is.
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, ssl.SSLError):
                message = _handshake(target, reason)
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


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _error(error: urllib.error.HTTPError) -> TenureError:
    body = error.read()
    try:
        view = json.loads(body)
        code, message = str(view["code"]), str(view["message"])
    except (ValueError, KeyError, TypeError):
        text = body.decode(errors="replace").strip()[:200]
        return TenureError(f"the server answered {error.code} {error.reason}: {text}")
    cls = by_code(code)
    return cls(message if cls.code == code else f"{code}: {message}")
