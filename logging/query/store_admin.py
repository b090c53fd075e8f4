"""What `cloud log store` works on: a data directory, or the collector that has it open."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import httpx
from pydantic import TypeAdapter

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.storage.backup import copy_backup, drop_snapshot
from cloud.logs.collector.storage.export import Wanted, export_parquet
from cloud.logs.collector.storage.inspection import Checked, Stats, check, stats
from cloud.logs.collector.storage.policy import Policy
from cloud.logs.collector.store import StoreError, StoreInUseError
from cloud.logs.collector.store_api import KEY_FILE, KEY_HEADER
from cloud.logs.collector.upkeep import Expired, Upkeep
from cloud.logs.query.access.client_key import ClientKeyError, check_private, connection

CONNECT_TIMEOUT_S = 5.0
WORK_TIMEOUT_S = 3600.0  # a check reads everything before it says a word


class StoreAdmin(Protocol):
    """All of it raises `StoreError`."""

    def stats(self) -> Stats: ...

    def check(self) -> Checked: ...

    def expire(self, retention: str | None, *, is_dry_run: bool) -> Expired: ...

    def backup(self, target: Path) -> Sequence[str]: ...

    def export(self, wanted: Wanted, target: Path) -> int: ...


@contextmanager
def open_admin(data: Path, url: str) -> Iterator[StoreAdmin]:
    """The directory `data` itself, or the collector at `url` where one has it open."""
    try:
        store = DuckDbStore(data)
    except StoreInUseError:
        with _collector(data, url) as http:
            yield _OfCollector(data, http)
        return
    try:
        upkeep = Upkeep(store)
        try:
            yield _OfDirectory(store, upkeep)
        finally:
            upkeep.stop()
    finally:
        store.close()


class _OfDirectory:
    def __init__(self, store: DuckDbStore, upkeep: Upkeep) -> None:
        self._store = store
        self._upkeep = upkeep

    def stats(self) -> Stats:
        return stats(self._store.files)

    def check(self) -> Checked:
        return check(self._store.files)

    def expire(self, retention: str | None, *, is_dry_run: bool) -> Expired:
        if retention is None:
            raise StoreError("cannot expire without --retention: no collector runs here whose settings have one")
        return self._upkeep.expire(Policy.parse(retention), is_dry_run=is_dry_run)

    def backup(self, target: Path) -> Sequence[str]:
        snapshot = self._upkeep.snapshot()
        try:
            return copy_backup(snapshot, target)
        finally:
            drop_snapshot(snapshot)

    def export(self, wanted: Wanted, target: Path) -> int:
        return export_parquet(self._store.files, wanted, target)


class _OfCollector:
    def __init__(self, data: Path, http: httpx.Client) -> None:
        self._data = data
        self._http = http

    def stats(self) -> Stats:
        return TypeAdapter(Stats).validate_python(self._ask("GET", "/stats"))

    def check(self) -> Checked:
        return TypeAdapter(Checked).validate_python(self._ask("POST", "/check"))

    def expire(self, retention: str | None, *, is_dry_run: bool) -> Expired:
        order = {"retention": retention, "is_dry_run": is_dry_run}
        return TypeAdapter(Expired).validate_python(self._ask("POST", "/expire", json=order))

    def backup(self, target: Path) -> Sequence[str]:
        name = self._ask("POST", "/snapshots")["name"]
        try:
            return copy_backup(self._data / name, target)
        finally:
            self._ask("DELETE", f"/snapshots/{name}")

    def export(self, wanted: Wanted, target: Path) -> int:
        order = TypeAdapter(dict[str, Any]).dump_python(asdict(wanted), mode="json")
        try:
            with target.open("xb") as file, self._http.stream("POST", "/export", json=order) as response:
                _raise_for_refusal(response)
                for part in response.iter_bytes():
                    file.write(part)
                return int(response.headers["X-Rows"])
        except FileExistsError as exc:
            raise StoreError(f"cannot export to {target}: {exc}") from exc
        except (httpx.HTTPError, OSError, StoreError) as exc:
            target.unlink(missing_ok=True)
            raise StoreError(f"cannot export to {target}: {exc}") from exc

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        try:
            response = self._http.request(method, path, **more)
            _raise_for_refusal(response)
            return response.json()
        except (httpx.HTTPError, ValueError) as exc:  # ValueError: what is there speaks no JSON
            raise StoreError(f"cannot ask the collector at {self._http.base_url}: {exc}") from exc


def _collector(data: Path, url: str) -> httpx.Client:
    try:
        check_private(url)
        settings = connection(url)
        settings["headers"] |= {KEY_HEADER: (data / KEY_FILE).read_text(encoding="ascii")}
        return httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v1/store",
            timeout=httpx.Timeout(WORK_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            **settings,
        )
    except (OSError, ValueError, httpx.InvalidURL, ClientKeyError) as exc:
        raise StoreError(f"cannot ask the collector at {url} about {data}: {exc}") from exc


def _raise_for_refusal(response: httpx.Response) -> None:
    if response.is_success:
        return
    response.read()
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"HTTP {response.status_code}"
    raise StoreError(str(detail))
