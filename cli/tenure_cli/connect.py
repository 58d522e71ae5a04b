"""Which server a command speaks to.

What is said nearest to the command counts: a flag, then ``TENURE_…`` variables, then a context, then
the engine of this machine (at ``TENURE_HOST`` and ``TENURE_HTTP_PORT``, as it reads them itself).
Contexts are in ``contexts.toml`` of the user's configuration folder::

    current = "staging"

    [contexts.staging]
    server = "https://tenure.staging.example:8443"
    namespace = "shop"
    app = "orders"
    ca-file = "~/.secrets/tenure-ca.crt"
    token-file = "~/.secrets/tenure"

In place of a token, or beside it, ``cert-file`` and ``key-file`` are a client certificate.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tenure_common import names
from tenure_common.errors import BadSettingError
from tenure_common.hosts import joined, reached

HERE: Final = f"http://{names.LOOPBACK}:{names.PORT_HTTP}"
OWN_APP: Final = "-"  # the app that the server serves


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A server, the app whose workflows are meant, and what lets us in (empty = nothing)."""

    server: str = HERE
    namespace: str = ""  # empty = the server's default
    app: str = OWN_APP
    token: str = ""
    ca: str = ""  # file: who vouches for the server; empty = whom this machine trusts
    cert: str = ""  # file: our certificate
    key: str = ""  # file: its key
    base: str = f"/{names.API_VERSION}"  # path of the API
    lasting: str = ""  # the same for what may take minutes; empty = no other
    nested: bool = False  # names in paths are encoded twice: somebody passes requests on
    socket: str = ""  # file: a socket in place of the server's address

    def of(self, app: str) -> Target:
        """The same for another app."""
        return msgspec.structs.replace(self, app=app)


class Context(
    msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True
):
    """One table of the file."""

    server: str = ""
    namespace: str = ""
    app: str = OWN_APP
    token_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class Contexts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    current: str = ""
    contexts: dict[str, Context] = {}


def path(env: Mapping[str, str]) -> Path:
    """Where the contexts are."""
    base = env.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "tenure" / "contexts.toml"


def read(file: Path) -> Contexts:
    """The contexts in the file; none when it is not there.  Raises: BadSettingError."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Contexts()
    except OSError as error:
        message = f"cannot read the contexts in '{file}': {error.strerror}"
        raise BadSettingError(message) from error
    try:
        return msgspec.convert(tomllib.loads(text), Contexts)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        message = f"the contexts in '{file}' cannot be used: {error}"
        raise BadSettingError(message) from error


def target(
    *,
    server: str | None = None,
    namespace: str | None = None,
    app: str | None = None,
    context: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Target:
    """The server that is meant; arguments that are None were not said.

    Raises: BadSettingError when there is no such context, or its token cannot be read.
    """
    env = os.environ if env is None else env
    server = server or env.get(names.VARIABLE_SERVER)
    namespace = namespace or env.get("TENURE_NAMESPACE")
    app = app or env.get("TENURE_APP_ID")
    token = env.get("TENURE_API_TOKEN", "")
    found = Context()
    name = ""
    if context or not server:
        known = read(path(env))
        name = context or known.current
        if name and name not in known.contexts:
            there = ", ".join(sorted(known.contexts)) or "none"
            message = f"there is no context '{name}' in '{path(env)}'; known: {there}"
            raise BadSettingError(message)
        found = known.contexts.get(name, found)
        if found.token_file and not token:
            try:
                token = Path(found.token_file).expanduser().read_text(encoding="utf-8").strip()
            except OSError as error:
                message = f"cannot read the token of context '{name}': {error}"
                raise BadSettingError(message) from error
    where = _address(server or found.server or here(env))
    if bool(found.cert_file) != bool(found.key_file):
        message = f"context '{name}': cert-file and key-file go together"
        raise BadSettingError(message)
    return Target(
        server=where,
        namespace=namespace or found.namespace,
        app=app or found.app,
        token=token,
        ca=_path(found.ca_file),
        cert=_path(found.cert_file),
        key=_path(found.key_file),
    )


def _address(text: str) -> str:
    """The URL of a server, without a slash at its end.  Raises: BadSettingError."""
    scheme, _, rest = text.partition("://")
    if scheme in {"http", "https"} and rest.strip("/") and _is_url(text):
        return text.rstrip("/")
    guess = "" if "://" in text else f": write it as http://{text} or https://{text}"
    message = f"'{text}' is not the address of a server{guess or ', which begins with http'}"
    raise BadSettingError(message)


def _is_url(text: str) -> bool:
    """Whether host and port can be told apart: an IPv6 address stands in brackets."""
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _path(text: str) -> str:
    return str(Path(text).expanduser()) if text else ""


def here(env: Mapping[str, str]) -> str:
    """The engine of this machine."""
    port = env.get("TENURE_HTTP_PORT", "")
    host = reached(env.get("TENURE_HOST", ""))
    return f"http://{joined(host, port if port.isdecimal() and int(port) else names.PORT_HTTP)}"
