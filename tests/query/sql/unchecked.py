"""Runs statements that nobody has checked, to see that the confinement of their process holds by itself."""

import json
import os
import sys

from cloud.logs.query.sql.confinement import confine, end_with_parent
from cloud.logs.query.sql.order import MEMORY_BYTES, Order
from cloud.logs.query.sql.process import _opened

CPU_S = 60


def main() -> None:
    """A line on stdout for each statement of stdin: what it gave, or the error."""
    end_with_parent()
    given = json.load(sys.stdin)
    connection = _opened(Order("", [], None))
    confine(MEMORY_BYTES, CPU_S)
    for statement in given:
        try:
            text = str(connection.execute(statement).fetchmany(100))
        except Exception as exc:  # noqa: BLE001 - whatever it is, the next one is tried
            text = f"{type(exc).__name__}: {exc}"
        print(json.dumps(text[:100_000]), flush=True)  # noqa: T201
    os._exit(0)


if __name__ == "__main__":
    main()
