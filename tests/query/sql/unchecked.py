"""Runs statements that nobody has checked, to see that the walls around their process hold, each by itself.

The names of the walls stand on the command line; `duckdb` is DuckDB's own lock.
"""

import json
import os
import sys

from cloud.logs.query.sql.confinement import Confinement, end_with_parent
from cloud.logs.query.sql.order import MEMORY_BYTES, Order
from cloud.logs.query.sql.statement_process import load_without_numpy

CPU_S = 60


def main() -> None:
    """A line on stdout for each statement of stdin: what it gave, or the error."""
    end_with_parent()
    walls = sys.argv[1:]
    confinement = Confinement(walls)
    confinement.begin()
    load_without_numpy()
    from cloud.logs.query.sql.process import lock, opened, warm_up  # as the real one does

    given = json.load(sys.stdin)
    connection = opened(Order("", [], None))
    if "duckdb" in walls:
        lock(connection)
    warm_up(connection)
    confinement.finish(MEMORY_BYTES, CPU_S)
    assert not confinement.missing
    for statement in given:
        try:
            text = str(connection.execute(statement).to_arrow_table().slice(0, 100).to_pylist())
        except Exception as exc:  # noqa: BLE001 - whatever it is, the next one is tried
            text = f"{type(exc).__name__}: {exc}"
        print(json.dumps(text[:100_000]), flush=True)  # noqa: T201
    os._exit(0)


if __name__ == "__main__":
    main()
