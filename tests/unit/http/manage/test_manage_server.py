"""The management API's edge: decoding, errors in its own form, who may call, limits, the document.

Out of scope: what the handlers do.  Every route is asked with what cannot be right.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import aiohttp
import jsonschema
import msgspec
import pytest

from support.served import Served, served
from tenure_common.errors import StoreUnavailableError
from tenure_sidecar.http.manage.openapi import build
from tenure_sidecar.http.manage.routes import ROUTES, Route
from tenure_sidecar.http.server import MAX_BODY_BYTES

each_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)


def path(route: Route, app: str = "orders") -> str:
    """The route's path with values."""
    return route.path.format(app=app, id="a", name="x", job="j")


async def ask(engine: Served, method: str, where: str, **more: Any) -> tuple[int, Any]:
    """Status and body."""
    async with engine.session.request(method, engine.url + where, **more) as answer:
        return answer.status, json.loads(await answer.text())


def takes_nothing(route: Route) -> bool:
    """Whether a request without a body is a good one."""
    if route.body is None:
        return True
    try:
        msgspec.convert({}, route.body)
    except msgspec.ValidationError:
        return False
    return True


# --- apps -----------------------------------------------------------------------------------------


async def test_apps(engine: Served) -> None:
    assert await ask(engine, "GET", "/v1alpha1/apps") == (
        200,
        {"apps": ["orders"], "items": [{"namespace": "default", "app": "orders"}]},
    )


@each_route
async def test_another_app_is_not_found(engine: Served, route: Route) -> None:
    if "{app}" not in route.path or not takes_nothing(route):
        return
    status, body = await ask(engine, route.method, path(route, app="other"))
    assert (status, body["code"]) == (404, "TN0109")
    assert body["details"] == {"app": "other"}


async def test_the_dash_is_the_app_that_is_served(engine: Served) -> None:
    await engine.start("ask", "a")
    answer = await engine.get("/instances/a", app="-")
    assert (answer.status, answer.body["app"]) == (200, "orders")


# --- what is refused ------------------------------------------------------------------------------


@each_route
async def test_unknown_parameters_are_refused(engine: Served, route: Route) -> None:
    status, answer = await ask(engine, route.method, path(route) + "?nonsense=1")
    assert (status, answer["code"]) == (400, "TN0004")
    assert "nonsense" in answer["message"]
    assert answer["details"] == {"field": "nonsense"}


@each_route
async def test_unknown_fields_are_refused(engine: Served, route: Route) -> None:
    if route.body is None:
        return
    status, body = await ask(engine, route.method, path(route), json={"nonsense": 1})
    assert (status, body["code"]) == (400, "TN0004")


@each_route
async def test_a_body_where_none_belongs_is_refused(engine: Served, route: Route) -> None:
    if route.body is not None or route.method == "GET":
        return
    status, body = await ask(engine, route.method, path(route), data=b"{}")
    assert (status, body["code"]) == (400, "TN0004")


@each_route
async def test_web_pages_are_refused(engine: Served, route: Route) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        status, body = await ask(engine, route.method, path(route), headers=headers)
        assert (status, body["code"]) == (403, "TN0711")
    status, body = await ask(engine, route.method, path(route), headers={"Host": "evil.example"})
    assert (status, body["code"]) == (403, "TN0711")


@each_route
async def test_the_token_is_needed_everywhere(route: Route) -> None:
    async with served(token="secret") as engine:
        status, body = await ask(engine, route.method, path(route))
        assert (status, body["code"]) == (401, "TN0712")
        wrong = {"dapr-api-token": "secre"}
        status, body = await ask(engine, route.method, path(route), headers=wrong)
        assert (status, body["code"]) == (401, "TN0712")


async def test_with_the_token_all_is_well() -> None:
    async with served(token="secret") as engine:
        headers = {"dapr-api-token": "secret"}
        assert (await ask(engine, "GET", "/v1alpha1/apps", headers=headers))[0] == 200
        assert (await ask(engine, "GET", "/openapi.json"))[0] == 401
        assert (await ask(engine, "GET", "/openapi.json", headers=headers))[0] == 200


@pytest.mark.parametrize(
    ("method", "where", "status", "code"),
    [
        ("GET", "/v1alpha1/apps/", 404, "TN0720"),
        ("GET", "/v1alpha1/nonsense", 404, "TN0720"),
        ("GET", "/v1alpha1/apps/orders/instances/", 404, "TN0720"),
        ("GET", "/v1alpha1/apps/orders/instances/a/b/c", 404, "TN0720"),
        ("DELETE", "/v1alpha1/apps/orders/instances/a", 405, "TN0721"),
        ("GET", "/v1alpha1/apps/orders/instances/a/suspend", 405, "TN0721"),
        ("POST", "/openapi.json", 405, "TN0721"),
    ],
)
async def test_paths_and_methods_that_are_not_there(
    engine: Served, method: str, where: str, status: int, code: str
) -> None:
    url = aiohttp.client.URL(engine.url + where, encoded=True)
    async with engine.session.request(method, url) as answer:
        assert answer.status == status
        body = json.loads(await answer.text())
        assert (body["code"], body["docs"]) == (code, f"https://tenure.dev/docs/errors/{code}")
        if status == 405:
            assert answer.headers["Allow"]
        else:
            assert "/openapi.json" in body["message"]  # what there is instead


async def test_a_body_that_is_not_in_its_encoding_is_the_callers_fault(engine: Served) -> None:
    url = f"{engine.url}/v1alpha1/apps/orders/instances"
    headers = {"Content-Encoding": "gzip"}
    async with engine.session.post(url, data=b"{}", headers=headers) as answer:
        body = json.loads(await answer.text())
        assert (answer.status, body["code"]) == (400, "TN0004")
        assert "gzip" in body["message"]


async def test_a_body_that_is_too_large_is_not_read(engine: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(engine.url.rpartition(":")[2]))
    writer.write(
        b"POST /v1alpha1/apps/orders/instances HTTP/1.1\r\nHost: localhost\r\n"
        + f"Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode()
    )
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    size = next(int(line[15:]) for line in head.splitlines() if line.startswith("Content-Length:"))
    body = json.loads(await reader.readexactly(size))
    writer.close()
    await writer.wait_closed()
    assert head.startswith("HTTP/1.1 413 ")
    assert body["code"] == "TN0201"


async def test_dapr_paths_keep_daprs_form(engine: Served) -> None:
    status, body = await ask(engine, "GET", "/v1.0/workflows/dapr/nobody")
    assert (status, body["errorCode"]) == (404, "ERR_INSTANCE_ID_NOT_FOUND")


async def test_a_store_that_fails_is_told(engine: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_args: object, **_more: object) -> None:
        raise StoreUnavailableError("the disk is gone")

    monkeypatch.setattr(engine.store, "heads", fail)
    answer = await engine.get("/instances")
    assert (answer.status, answer.code) == (503, "TN0405")
    assert answer.body["message"] == "the disk is gone"


async def test_a_bug_is_told_without_ending_the_server(
    engine: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_args: object, **_more: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(engine.store, "heads", fail)
    answer = await engine.get("/instances")
    assert (answer.status, answer.code) == (500, "TN0001")
    assert (await engine.get("/counts")).status == 200


# --- the document ---------------------------------------------------------------------------------


async def test_the_document_is_served(engine: Served) -> None:
    status, body = await ask(engine, "GET", "/openapi.json")
    assert (status, body["openapi"]) == (200, "3.1.0")
    assert body == json.loads(json.dumps(build()))


def test_every_operation_has_an_id_of_its_own_and_a_summary() -> None:
    operations = [op for item in build()["paths"].values() for op in item.values()]
    assert len(operations) == len(ROUTES)
    assert len({op["operationId"] for op in operations}) == len(ROUTES)
    for operation in operations:
        assert operation["summary"].endswith(".")
        assert "Raises" not in operation["summary"] + operation.get("description", "")


def test_every_type_is_described_and_used() -> None:
    document = build()
    text = json.dumps(document)
    for name, schema in document["components"]["schemas"].items():
        assert f'"#/components/schemas/{name}"' in text, name
        if "enum" not in schema:
            assert schema.get("description"), name


def test_references_lead_somewhere() -> None:
    document = build()
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)):
        assert name in document["components"]["schemas"]


async def test_answers_are_what_the_document_says(engine: Served) -> None:
    engine.connect()
    document = build()
    await engine.start("fails", "a", input={"n": 1}, tags={"k": "v"}, retention="forever")
    await engine.ended("a")
    await engine.start("family", "b")
    await engine.started("b:0000")
    for where, kind in {
        "/instances": "InstancePage",
        "/counts": "Counts",
        "/instances/a": "InstanceDetails",
        "/instances/b%3A0000": "InstanceDetails",
        "/instances/a/history": "HistoryPage",
        "/instances/a/wait": "Waited",
        "/jobs": "JobPage",
    }.items():
        schema = {"$ref": f"#/components/schemas/{kind}", "components": document["components"]}
        jsonschema.validate((await engine.get(where)).body, schema)
