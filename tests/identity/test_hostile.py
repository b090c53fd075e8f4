"""Bad input of all sorts to every route: refused, in Keystone's shape, and never a 500."""

import json

from cloud.services.identity.v2.tokens import TokenRequest
from tests.identity.site import Site
from tests.identity.test_policy_matrix import NONE, all_routes

BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"5",
    b'"text"',
    b"\xff\xfe",
    b'{"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "\\u0000", "password": "\\ud800"}}}}}',
    b"[" * 50_000,
    b'{"user": ' * 2_000 + b"1" + b"}" * 2_000,
    b'{"user": {"name": "\\u0000"}, "tenant": {"name": "\\ud800"}, "project": {"name": ""}, "role": {"name": 1e400}}',
    json.dumps(
        {key: {"name": "n" * 10_000, "id": [], "password": {}} for key in ("user", "tenant", "project")}
    ).encode(),
    b'{"auth": {"passwordCredentials": {"username": "alice", "password": 99999999999999999999999999999999}}}',
    b'{"credentials": {"access": "\\u0000", "signature": "\\ud800", "verb": "", "host": "", "path": "", "params": {}}}',
)
IDS = ("%00", "%ED%A0%80", "..%2f..%2f", "a" * 2_000, "'%20OR%201=1", "%F0%9F%92%A9", "-")


def test_no_body_is_an_error_of_ours(local_site: Site) -> None:
    site = local_site
    admin = site.token("admin", "admin")
    for route in all_routes(site):
        if route.method not in ("POST", "PUT", "PATCH"):
            continue
        for body in BODIES:
            headers = {"X-Auth-Token": admin, "Content-Type": "application/json"}
            answer = site.http.request(route.method, route.at(NONE, NONE), content=body, headers=headers)
            assert answer.status_code in (400, 401, 404, 429), (route, body[:60], answer.status_code, answer.text)
            assert set(answer.json()["error"]) == {"code", "title", "message"}
            assert answer.json()["error"]["code"] == answer.status_code


def test_no_id_is_an_error_of_ours(local_site: Site) -> None:
    site = local_site
    admin = site.token("admin", "admin")
    for route in all_routes(site):
        if "{" not in route.path:
            continue
        for strange in IDS:
            path = route.path
            for name in ("user_id", "project_id", "role_id", "access", "service_id", "endpoint_id", "domain_id"):
                path = path.replace(f"{{{name}}}", strange)
            body: object = {} if route.method in ("POST", "PUT", "PATCH") else None
            answer = site.ask(route.method, path, admin, body)
            assert answer.status_code in (400, 404, 405), (route, strange, answer.status_code, answer.text)


def test_no_query_is_an_error_of_ours(local_site: Site) -> None:
    site = local_site
    admin = site.token("admin", "admin")
    keys = ("name", "domain_id", "enabled", "marker", "user.id", "role.id", "scope.project.id", "type", "belongsTo")
    for route in all_routes(site):
        if route.method != "GET":
            continue
        for strange in ("%00", "%ED%A0%80", "x" * 5_000, ""):
            path = f"{route.at(NONE, NONE)}?{'&'.join(f'{key}={strange}' for key in keys)}"
            answer = site.ask("GET", path, admin, X_Subject_Token=admin)
            assert answer.status_code in (200, 300, 204, 400, 404), (route, strange, answer.status_code, answer.text)


def test_strange_tokens_get_nobody_in(local_site: Site) -> None:
    site = local_site
    for token in (b"", b"x", b"\xff", b"a" * 5_000, b"gAAAAA" + b"A" * 150, b"a b", b"..", b"\xc3\xa9"):
        for header in (b"X-Auth-Token", b"x-auth-token"):
            answer = site.http.get("/v3/users", headers=[(header, token)])
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, 401)


def test_body_of_ten_megabytes_is_refused_before_it_is_read(local_site: Site) -> None:
    site = local_site
    headers = {"Content-Type": "application/json"}
    answer = site.http.post("/v2.0/tokens", content=b" " * 10_000_000, headers=headers)
    assert (answer.status_code, answer.json()["error"]["title"]) == (413, "Request Entity Too Large")


def test_what_is_not_served_is_not_found_and_a_method_that_is_not_is_told(local_site: Site) -> None:
    site = local_site
    admin = site.token("admin", "admin")
    for path in ("/v1", "/v2.0/nothing", "/v3/groups", "/openapi", "/v2.0/tokens/", "/docs"):
        assert site.http.get(path).status_code == 401
        assert site.ask("GET", path, admin).status_code == 404, path
    assert site.ask("DELETE", "/v2.0/tenants", admin).status_code == 405
    assert site.ask("DELETE", "/v2.0/tenants", admin).json()["error"]["title"] == "Method Not Allowed"


def test_body_shows_nothing_of_itself() -> None:
    body = TokenRequest.model_validate({"auth": {"passwordCredentials": {"username": "alice", "password": "hunter2"}}})
    assert (repr(body), str(body), repr(body.auth)) == ("TokenRequest()", "", "Auth()")
