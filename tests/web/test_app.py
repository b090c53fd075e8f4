"""What every HTTP service does around its routes."""

import re
import socket
from typing import Any

import httpx
import pytest
from fastapi import Request
from pydantic import BaseModel, StrictInt

from cloud.errors import CloudError, ConflictError, DatabaseUnavailableError, NotFoundError
from cloud.logs.emit.context import current_context
from tests.services.said import Line
from tests.waiting import wait_until
from tests.web.serving import new_app, serving

REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Body(BaseModel):
    number: StrictInt


@pytest.fixture
def client() -> Any:
    app = new_app()

    @app.get("/context")
    def context() -> dict[str, str]:
        return current_context().as_fields()

    @app.get("/public")
    def public(request: Request) -> dict[str, bool]:
        return {"is_known": request.state.caller is not None}

    @app.post("/number")
    def number(body: Body) -> dict[str, int]:
        return {"number": body.number}

    @app.post("/length")
    async def length(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    @app.get("/fails/{how}")
    def fails(how: str) -> None:
        kinds: dict[str, Exception] = {
            "conflict": ConflictError("it is busy"),
            "missing": NotFoundError("there is none"),
            "database": DatabaseUnavailableError("cannot use database: it is away"),
            "unknown": CloudError("the secret plan failed"),
            "defect": ZeroDivisionError("1/0 of hunter2"),
        }
        raise kinds[how]

    with serving(app) as client:
        yield client


def test_request_has_one_id_in_headers_context_and_log_line(client: httpx.Client, lines: list[Line]) -> None:
    answer = client.get("/context")
    request_id = answer.headers["x-openstack-request-id"]
    assert REQUEST_ID.fullmatch(request_id)
    assert answer.headers["x-compute-request-id"] == request_id
    assert answer.json() == {"request_id": request_id, "user": "u1", "project": "p1"}
    wait_until(lambda: bool(lines), 5, "the log line, which comes after the answer")
    [(level, message, fields)] = lines
    assert (level, message) == ("INFO", "request answered")
    assert fields.pop("elapsed_s") > 0
    assert fields == {"method": "GET", "path": "/context", "status": 200, "user": "u1", "project": "p1"}


def test_two_requests_have_different_ids(client: httpx.Client) -> None:
    ids = {client.get("/context").headers["x-openstack-request-id"] for _ in range(2)}
    assert len(ids) == 2


def test_who_has_no_token_is_refused_but_where_nobody_is_asked(client: httpx.Client) -> None:
    refused = client.get("/context", headers={"X-Auth-Token": ""})
    assert refused.status_code == 401
    assert refused.json() == {"oops": {"code": 401, "message": "nobody knows you"}}
    assert refused.headers["www-authenticate"] == "Keystone uri=here"
    assert REQUEST_ID.fullmatch(refused.headers["x-openstack-request-id"])
    assert client.get("/public", headers={"X-Auth-Token": ""}).json() == {"is_known": False}


@pytest.mark.parametrize(
    ("how", "status", "message"),
    [
        ("conflict", 409, "it is busy"),
        ("missing", 404, "there is none"),
        ("database", 503, "something that is needed for this does not answer; try again later"),
        ("unknown", 500, "the server could not do what was asked of it; its log says why"),
        ("defect", 500, "the server could not do what was asked of it; its log says why"),
    ],
)
def test_error_has_the_status_of_its_class_and_the_shape_of_the_service(
    client: httpx.Client, lines: list[Line], how: str, status: int, message: str
) -> None:
    answer = client.get(f"/fails/{how}")
    assert answer.status_code == status
    assert answer.json() == {"oops": {"code": status, "message": message}}
    wait_until(lambda: any(said == "request answered" for _, said, _ in lines), 5, "the log line, after the answer")
    assert [level for level, said, _ in lines if said == "request failed"] == (["ERROR"] if status >= 500 else [])
    assert lines[-1][2]["status"] == status


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/number", 405), ("GET", "/context/", 404)]
)
def test_what_is_not_served_has_the_shape_too(client: httpx.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["oops"]["code"]) == (status, status)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"number": "hunter2"}', b'{"number": 1.5}', b"\xff", b'{"nummer": 1}']
)
def test_body_that_does_not_fit_is_a_400_that_does_not_quote_it(client: httpx.Client, content: bytes) -> None:
    answer = client.post("/number", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert "hunter2" not in answer.text
    assert answer.json()["oops"]["message"].startswith(("invalid input for ", "There was an error parsing the body"))


def test_body_is_read_up_to_its_bound_whole_or_in_pieces(client: httpx.Client) -> None:
    assert client.post("/length", content=b"x" * 1000).json() == {"length": 1000}
    assert client.post("/length", content=iter([b"x" * 500, b"x" * 500])).json() == {"length": 1000}
    for content in (b"x" * 1001, iter([b"x" * 500, b"x" * 501])):
        answer = client.post("/length", content=content)
        assert answer.json() == {"oops": {"code": 413, "message": "cannot read request: more than 1000 bytes"}}


def test_client_that_goes_away_in_the_middle_of_its_body_harms_nobody(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port), 10) as connection:
        connection.sendall(
            b"POST /length HTTP/1.1\r\nHost: here\r\nX-Auth-Token: alice\r\nContent-Length: 9\r\n\r\nhalf"
        )
    assert client.post("/length", content=b"whole").json() == {"length": 5}
