"""What is refused before anybody looks at what a request brings, and what each answer tells a browser."""

import socket
from collections.abc import Iterator, Mapping

import httpx
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.access.route_actions import RouteActions
from tests.query.access.test_matrix import LEAST, NAMED
from tests.query.serving import Served


@pytest.fixture(scope="module")
def served(store: DuckDbStore, keys: Mapping[str, str]) -> Iterator[Served]:
    assert keys
    with Served(store) as served:
        yield served


def exchange(served: Served, request: bytes) -> bytes:
    """What comes back for raw bytes, up to the connection's end or the end of a head."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer and (piece := connection.recv(1 << 16)):
            answer += piece
    return answer


def head(key: str, *lines: str, target: str = "POST /api/v1/sql") -> bytes:
    rest = "\r\n".join(("Host: localhost", f"Authorization: Bearer {key}", *lines))
    return f"{target} HTTP/1.1\r\n{rest}\r\n\r\n".encode("latin-1")


@pytest.mark.parametrize("more", ["Content-Length: 200000", "Content-Length: 9999999999", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("expect", ["Expect: 100-continue", "X-Nothing: 1"])
def test_whose_role_does_not_suffice_is_refused_before_its_body_is_asked_for(
    served: Served, keys: Mapping[str, str], more: str, expect: str
) -> None:
    answer = exchange(served, head(keys["member"], "Content-Type: application/json", more, expect))
    assert answer.startswith(b"HTTP/1.1 403 ")


def test_what_a_request_asks_for_is_known_of_each_route(served: Served) -> None:
    actions = RouteActions(served.app.routes)
    for route in LEAST:
        method, path = route.split()
        assert actions.of(method, path.format_map(NAMED)) is not None, route
    for method, path in (
        ("GET", "/readyz"),
        ("GET", "/api/v1/nothing"),
        ("PATCH", "/api/v1/sql"),
        ("GET", "/api/v1/sqlx"),
    ):
        assert actions.of(method, path) is None


OTHERS: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "anything"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://[evil"},
    {"Origin": "http://evil.example@{host}"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
]


@pytest.mark.parametrize("headers", OTHERS, ids=str)
def test_a_page_of_another_site_is_refused_even_where_nobody_is_asked_who_he_is(
    tmp_path_factory: pytest.TempPathFactory, headers: Mapping[str, str]
) -> None:
    store = DuckDbStore(tmp_path_factory.mktemp("open"))
    with Served(store) as served, httpx.Client(base_url=served.url, trust_env=False) as http:
        host = f"127.0.0.1:{served.port}"
        sent = {name: value.replace("{host}", host) for name, value in headers.items()}
        for method, path in (("GET", "/api/v1/rows"), ("POST", "/api/v1/sql"), ("OPTIONS", "/api/v1/sql")):
            refused = http.request(method, path, headers=sent)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
            assert "access-control-allow-origin" not in refused.headers
        own = {"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
        assert http.get("/api/v1/rows", headers=own).status_code == 200
        assert http.get("/api/v1/rows", headers={"Sec-Fetch-Site": "none"}).status_code == 200
    store.close()


@pytest.mark.parametrize(
    ("path", "status"), [("/readyz", 200), ("/api/v1/rows", 200), ("/api/v1/nothing", 404), ("/api/v1/sql", 405)]
)
def test_no_answer_is_kept_or_taken_for_a_page(served: Served, keys: Mapping[str, str], path: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {keys['admin']}"}
    with httpx.Client(base_url=served.url, trust_env=False, headers=headers) as http:
        answer = http.get(path)
        assert answer.status_code == status
        refused = http.get("/api/v1/rows", headers={"Authorization": "Bearer wrong"})
        assert refused.status_code == 401
    for each in (answer, refused):
        assert each.headers["x-content-type-options"] == "nosniff"
        assert each.headers["cache-control"] in ("no-store", "no-cache")
        assert each.headers["cross-origin-resource-policy"] == "same-origin"
        assert "default-src 'none'" in each.headers["content-security-policy"]
        assert "server" not in each.headers


SMUGGLED: list[tuple[str, list[str], bytes]] = [
    ("two lengths", ["Content-Length: 2", "Content-Length: 3"], b"{}"),
    ("a length that is none", ["Content-Length: +2"], b"{}"),
    ("a negative length", ["Content-Length: -2"], b"{}"),
    ("an unknown coding", ["Transfer-Encoding: gzip, chunked"], b"0\r\n\r\n"),
    ("two codings", ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], b"0\r\n\r\n"),
    ("a name with a blank", ["Content-Length : 2"], b"{}"),
    ("two hosts", ["Host: evil.example"], b""),
    ("a folded line", ["X-A: b\r\n c: d", "Content-Length: -1"], b""),
    ("a head that is too long", [f"X-{number}: {'a' * 1000}" for number in range(17)], b""),
    ("a line that is too long", [f"X-A: {'a' * 17_000}"], b""),
    ("a head without an end", [f"X-A: {'a' * 2_000_000}"], b""),
]


@pytest.mark.parametrize(("lines", "body"), [pytest.param(*more, id=name) for name, *more in SMUGGLED])
def test_a_request_of_two_readings_is_none(
    served: Served, keys: Mapping[str, str], lines: list[str], body: bytes
) -> None:
    answer = exchange(served, head(keys["admin"], *lines) + body)
    assert answer.split(b" ")[1] in (b"400", b"431", b"501"), answer[:200]


def test_a_length_and_chunks_are_read_as_chunks_and_nothing_follows(served: Served, keys: Mapping[str, str]) -> None:
    inner = head(keys["admin"], target="GET /readyz")
    text = head(
        keys["admin"],
        "Content-Type: application/json",
        f"Content-Length: {len(inner) + 5}",
        "Transfer-Encoding: chunked",
    )
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(text + b"0\r\n\r\n" + inner)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 4")


def test_a_packed_body_is_not_unpacked(served: Served, keys: Mapping[str, str]) -> None:
    headers = {
        "Authorization": f"Bearer {keys['admin']}",
        "Content-Encoding": "gzip",
        "Content-Type": "application/json",
    }
    with httpx.Client(base_url=served.url, trust_env=False, headers=headers) as http:
        assert http.post("/api/v1/sql", content=b"\x1f\x8b\x08\x00\x00\x00\x00\x00").status_code == 400


def test_no_connection_becomes_a_web_socket(served: Served, keys: Mapping[str, str]) -> None:
    more = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
    assert exchange(served, head(keys["admin"], *more, target="GET /api/v1/rows")).startswith(b"HTTP/1.1 200 ")
