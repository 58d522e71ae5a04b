"""The OpenAPI 3.1 document, built from the table of routes and the types that the handlers use."""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import Any, Final

import msgspec

from tenure_common.errors import (
    BadRequestError,
    BadTokenError,
    ForeignCallerError,
    MessageTooLargeError,
    NotPermittedError,
    StoreUnavailableError,
    TenureError,
)
from tenure_common.version import VERSION
from tenure_sidecar.http.manage.queries import NoQuery
from tenure_sidecar.http.manage.routes import ROUTES, Route
from tenure_sidecar.http.manage.views import ErrorView

_REF: Final = "#/components/schemas/{name}"
_EVERYWHERE: Final = (
    ForeignCallerError,
    BadTokenError,
    NotPermittedError,
    StoreUnavailableError,
)
_PATH: Final = {
    "app": "Name of the app, or `-`: the only one that this server serves there.",
    "id": "Id of the instance, percent-encoded.",
    "name": "Name of the event, percent-encoded; its case does not matter.",
    "job": "Id of the job.",
}
_ABOUT: Final = """\
Start, find, watch and control workflow instances.

Every answer is JSON; every error has a code that is stable and has a page of its own.  Unknown
fields and parameters are refused.  A change is durable when it is answered, and no call needs a
connected worker.

Every path is served below `/v1alpha1/namespaces/{namespace}/apps`, too, for the apps of that
namespace; the paths without one are of the server's default namespace.  A gateway takes a bearer
token or a client certificate, an app's own server its API token.
"""

Schema = dict[str, Any]


@cache
def document() -> bytes:
    """The document, as JSON."""
    return msgspec.json.encode(build())


def build() -> Schema:
    """The document."""
    types = [ErrorView]
    for route in ROUTES:
        types += [*route.answers.values(), *([] if route.body is None else [route.body])]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, Schema] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_type)
    described = {name: _described(schema) for name, schema in components.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tenure management API",
            "version": VERSION,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(described.items())),
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "dapr-api-token"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "certificate": {"type": "mutualTLS"},
            },
        },
        "security": [{}, {"token": []}, {"bearer": []}, {"certificate": []}],
    }


def _operation(route: Route, schemas: dict[str, Schema]) -> Schema:
    text = inspect.getdoc(route.handler) or ""
    text = re.split(r"\s*Raises:", text)[0].strip()
    summary, _, rest = text.partition("\n\n")
    operation: Schema = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": " ".join(summary.split()),
        "parameters": [*_path(route), *_query(route), *_headers(route)],
        "responses": _responses(route, schemas),
    }
    about = [rest] if rest else []
    if route.query is not NoQuery:
        about.append(inspect.getdoc(route.query) or "")
    if about:
        operation["description"] = "\n\n".join(about)
    if route.body is not None:
        operation["requestBody"] = {
            "required": not _optional(route.body),
            "content": {"application/json": {"schema": schemas[repr(route.body)]}},
        }
    return operation


def _optional(body: Any) -> bool:  # noqa: ANN401 - a struct type, or a union of them
    if not isinstance(body, type):
        return False
    return not any(field.required for field in msgspec.structs.fields(body))


def _path(route: Route) -> list[Schema]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH[name],
            "schema": {"type": "string", "minLength": 1},
        }
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _query(route: Route) -> list[Schema]:
    (schema,), components = msgspec.json.schema_components([route.query], ref_template=_REF)
    properties = components[schema["$ref"].rpartition("/")[2]]["properties"]
    found: list[Schema] = []
    for name, given in properties.items():
        described = _inline(given, components)
        parameter: Schema = {"name": name, "in": "query", "schema": described}
        about = described.pop("description", None)
        if about is not None:
            parameter["description"] = about
        if described.get("type") == "array":
            described.pop("default", None)
            parameter["explode"] = True
        found.append(parameter)
    return found


def _inline(schema: Schema, components: dict[str, Schema]) -> Schema:
    """Parameters stand on their own: an optional one is absent, not null, and enums are spelt out."""
    if "$ref" in schema:
        target = components[schema["$ref"].rpartition("/")[2]]
        return {key: value for key, value in target.items() if key in {"enum", "type"}} | {
            key: value for key, value in schema.items() if key != "$ref"
        }
    choices = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(choices) == 1:
        return _inline(choices[0], components)
    return dict(schema)


def _headers(route: Route) -> list[Schema]:
    if not route.keyed:
        return []
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "A repeat of the request with the same key is answered as the first.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 256},
        }
    ]


def _responses(route: Route, schemas: dict[str, Schema]) -> Schema:
    kind = "application/x-ndjson" if route.stream else "application/json"
    responses: Schema = {}
    for status, answer in route.answers.items():
        responses[str(status)] = {
            "description": _WORDS[status],
            "content": {kind: {"schema": schemas[repr(answer)]}},
        }
    errors: set[type[TenureError]] = {
        BadRequestError,
        *route.errors,
        *route.extra,
        *_EVERYWHERE,
    }
    if route.body is not None:
        errors.add(MessageTooLargeError)
    by_status: dict[int, list[type[TenureError]]] = {}
    for error in errors:
        by_status.setdefault(error.http, []).append(error)
    for status, found in sorted(by_status.items()):
        codes = ", ".join(f"{e.code} ({_says(e)})" for e in sorted(found, key=lambda e: e.code))
        responses[str(status)] = {
            "description": codes,
            "content": {"application/json": {"schema": schemas[repr(ErrorView)]}},
        }
    return responses


def _says(error: type[TenureError]) -> str:
    text = " ".join((error.__doc__ or "").split())
    return text[:1].lower() + text[1:].rstrip(".")


_WORDS: Final = {
    200: "It is so, or was so already.",
    201: "Created.",
    202: "Accepted: durable, and under way.",
}


def _described(schema: Schema) -> Schema:
    text = schema.get("description")
    if text:
        return {**schema, "description": inspect.cleandoc(text)}
    return schema
