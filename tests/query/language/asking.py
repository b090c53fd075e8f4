"""A condition over the rows of a store, as the readers ask it: table by table."""

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.where import Where


def row_ids(store: DuckDbStore, where: Where) -> list[int]:
    found: list[int] = []
    with store.tables() as tables:
        for table in tables:
            sql = f"SELECT row_id FROM {table.sql_name} WHERE {where.sql}"  # noqa: S608 - our own names
            found += store.query(sql, where.parameters).column("row_id").to_pylist()
    return sorted(found)
