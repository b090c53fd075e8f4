"""Whatever stands where a parameter may stand: no route breaks on it."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.query.serving import Served

NAMED = {"row_id": "1", "request_id": "req-1", "instance": "x", "name": "x", "search_id": "0" * 16}
HOSTILE = (
    *(
        "",
        "%00",
        "%ff",
        "%ed%a0%80",
        "A" * 8000,
        "1" * 400,
        "..%2fkeys.json",
        "-1",
        "NaN",
        "%F0%9F%8E%89",
        "%27%22%3B--",
    ),
    *("%0d%0aX-A:%20b", "99999999999d", "9999-12-31T23:59:59.999999%2B23:59"),
)
"""As it stands in a URL."""


def targets(paths: dict[str, Any]) -> Iterator[str]:
    """Method and URL of each route with each parameter and value."""
    for path, methods in paths.items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", ()):
                name, place = parameter["name"], parameter["in"]
                for value in HOSTILE:
                    if place == "path":
                        yield f"{method.upper()} {path.format_map({**NAMED, name: value})}"
                    elif place == "query":
                        times = "" if name == "since" else "&since=2020-01-01"
                        yield f"{method.upper()} {path.format_map(NAMED)}?{name}={value}{times}"


def test_no_route_breaks_on_a_parameter(store: DuckDbStore) -> None:
    with Served(store) as served, httpx.Client(base_url=served.url, trust_env=False) as http:
        asked = list(targets(http.get("/openapi.json").json()["paths"]))
        assert len(asked) > 500
        for target in asked:
            with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
                connection.sendall(f"{target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
                head = connection.recv(1 << 16).partition(b"\r\n\r\n")[0]
            assert head.split(b" ")[1] in (b"200", b"307", b"400", b"403", b"404", b"412", b"422", b"428", b"503"), (
                target
            )
            assert b"\nX-A:" not in head, target
