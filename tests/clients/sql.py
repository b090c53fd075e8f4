"""A statement to the cloud's database, as an operator would give it: `sql STATEMENT`; of each row a line for each column.

The environment's DATABASE is the file.
"""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing


def main() -> None:
    _, statement = sys.argv
    with closing(sqlite3.connect(os.environ["DATABASE"])) as connection, connection:
        cursor = connection.execute(statement)
        for line in _rows(cursor) if cursor.description else [f"{cursor.rowcount} changed"]:
            sys.stdout.write(line + "\n")


def _rows(cursor: sqlite3.Cursor) -> Iterator[str]:
    names = [column[0] for column in cursor.description]
    for row in cursor:
        for name, value in zip(names, row, strict=True):
            yield f"{name}: {'NULL' if value is None else value}"


if __name__ == "__main__":
    main()
