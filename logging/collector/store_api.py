"""`/api/v1/store`: what `cloud log store` asks of a collector that has the data directory open."""

import os
import secrets
import uuid
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.storage import directory
from cloud.logs.collector.storage.backup import drop_snapshot
from cloud.logs.collector.storage.export import Wanted, export_parquet
from cloud.logs.collector.storage.inspection import check, stats
from cloud.logs.collector.storage.policy import Policy, PolicyError
from cloud.logs.collector.upkeep import Upkeep

KEY_FILE = "store-key"
KEY_HEADER = "X-Store-Key"


class ExpireOrder(BaseModel):
    """Without `retention` that of the collector's settings holds."""

    model_config = ConfigDict(extra="forbid")

    retention: str | None = None
    is_dry_run: bool = False


class ExportOrder(BaseModel):
    """Which rows, as `Wanted`."""

    model_config = ConfigDict(extra="forbid")

    since: datetime | None = None
    until: datetime | None = None
    host: str | None = Field(None, max_length=255)


def store_routes(store: DuckDbStore, upkeep: Upkeep) -> APIRouter:
    """The routes; who may use them is for whoever includes them to say."""
    data = store.files.path
    router = APIRouter(prefix="/api/v1/store")

    @router.get("/stats")
    async def stats_() -> dict[str, Any]:
        """Files, rows, bytes, times, and the hosts' shares."""
        return asdict(await to_thread.run_sync(stats, store.files))

    @router.post("/check")
    async def check_() -> dict[str, Any]:
        """Read everything; may take minutes."""
        return asdict(await to_thread.run_sync(check, store.files))

    @router.post("/expire")
    async def expire(order: ExpireOrder) -> dict[str, Any]:
        """Apply a policy now."""
        try:
            policy = None if order.retention is None else Policy.parse(order.retention)
        except PolicyError as exc:
            raise HTTPException(422, str(exc)) from exc
        return asdict(await to_thread.run_sync(lambda: upkeep.expire(policy, is_dry_run=order.is_dry_run)))

    @router.post("/snapshots")
    async def snapshot() -> dict[str, str]:
        """A directory below the data directory with everything that is stored now; delete it after use."""
        return {"name": (await to_thread.run_sync(upkeep.snapshot)).name}

    @router.delete("/snapshots/{name}")
    async def end_snapshot(name: str) -> dict[str, str]:
        """Let go of the files that a snapshot has kept."""
        if not name.startswith(directory.SNAPSHOT) or "/" in name:
            raise HTTPException(404, f"cannot find snapshot {name!r}")
        await to_thread.run_sync(drop_snapshot, data / name)
        return {"name": name}

    @router.post("/export")
    async def export(order: ExportOrder) -> FileResponse:
        """The rows as one Parquet file; their number is in the header X-Rows."""
        temp = data / directory.TEMP
        temp.mkdir(mode=0o700, exist_ok=True)
        target = temp / f"{uuid.uuid4()}.parquet"
        wanted = Wanted(order.since, order.until, order.host)
        rows = await to_thread.run_sync(export_parquet, store.files, wanted, target)
        return FileResponse(
            target,
            media_type="application/vnd.apache.parquet",
            headers={"X-Rows": str(rows)},
            background=BackgroundTask(target.unlink, missing_ok=True),
        )

    return router


def new_store_key(data: Path) -> str:
    """A key that lies in the data directory until the next start: whoever may read that may do everything here.

    On loopback nobody else is asked who he is, and other users of the machine and any web page can reach a port there.
    """
    key = secrets.token_urlsafe(32)
    unfinished = data / f"{KEY_FILE}.new"
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key)
    unfinished.rename(data / KEY_FILE)
    return key
