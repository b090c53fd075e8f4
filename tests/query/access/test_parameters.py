"""Whatever stands where a parameter may stand: no route breaks on it, for one who may ask them all."""

import socket
from collections.abc import Iterator, Mapping
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
    *("1" + "0" * 30, "1e30", "true", "%0d%0aX-A:%20b", "99999999999d", "9999-12-31T23:59:59.999999%2B23:59"),
)
"""As it stands in a URL."""
STATUSES = (b"200", b"307", b"400", b"404", b"412", b"415", b"422", b"428")


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


def test_no_route_breaks_on_a_parameter(store: DuckDbStore, keys: Mapping[str, str]) -> None:
    shown = {"Authorization": f"Bearer {keys['admin']}"}
    with Served(store) as served, httpx.Client(base_url=served.url, headers=shown, trust_env=False) as http:
        asked = list(targets(http.get("/openapi.json").json()["paths"]))
        assert len(asked) > 500
        broken = [f"{target}: {head!r}" for target in asked if is_broken(head := answered(served, target, shown))]
    assert broken == []


def answered(served: Served, target: str, shown: Mapping[str, str]) -> bytes:
    """The head of the answer; the target goes as it stands, which no client would send so."""
    headers = {"Host": "localhost", "Content-Length": "0", **shown}
    lines = [f"{target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        return connection.recv(1 << 16).partition(b"\r\n\r\n")[0]


def is_broken(head: bytes) -> bool:
    return head.split(b" ")[1] not in STATUSES or b"\nX-A:" in head
