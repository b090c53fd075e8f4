"""Which of the rows that have just arrived each tail wants: all conditions in one pass over rows that are read once."""

import threading
from collections.abc import Sequence

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cloud.logs.query.limit import Limit
from cloud.logs.query.where import Where

Places = npt.NDArray[np.int64]
DEADLINE_S = 2.0
"""For all conditions at once, and where these take longer for each alone."""
MEMORY_LIMIT = "256MB"


class ConditionError(Exception):
    """A condition that cannot be tested, or not in time."""


class Matcher:
    """An engine of its own, without a file: what it takes, and what goes wrong in it, the store does not feel.

    Nothing is prepared, though to plan a hundred conditions takes longer than to test them: DuckDB keeps in a plan what
    it knew of the rows it was made for, and finds other rows with it. One thread at a time may ask.
    """

    def __init__(self) -> None:
        self._connection = duckdb.connect()
        settings: dict[str, object] = {
            "threads": 1,
            "timezone": "UTC",
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "enable_external_access": False,
            "lock_configuration": True,
        }
        for name, value in settings.items():
            self._connection.execute(f"SET {name} = ?", [value])

    def matches(
        self, rows: pa.Table, conditions: Sequence[Where], cancelled: threading.Event
    ) -> Sequence[Places | ConditionError]:
        """For each condition the places in `rows` of those that it wants, in order."""
        if not conditions:
            return []
        self._connection.register("arrived", rows)
        try:
            return self._tested(conditions, cancelled)
        except duckdb.Error:  # one of them cannot be tested, which is nothing to the others
            return [self._tested_alone(condition, cancelled) for condition in conditions]
        finally:
            self._connection.unregister("arrived")

    def close(self) -> None:
        self._connection.close()

    def _tested(self, conditions: Sequence[Where], cancelled: threading.Event) -> list[Places]:
        parameters: dict[str, object] = {}
        tests = []
        for number, condition in enumerate(conditions):
            prefix = f"c{number}_"
            parameters |= {f"{prefix}{name}": value for name, value in condition.parameters.items()}
            tests.append(f"({condition.prefixed(prefix)}) IS TRUE AS c{number}")
        sql = f"SELECT {', '.join(tests)} FROM arrived"  # noqa: S608 - what users typed is in parameters
        with Limit.after(DEADLINE_S, cancelled).guard(self._connection.interrupt):
            found = self._connection.execute(sql, parameters).to_arrow_table()
        return [np.flatnonzero(column.to_numpy()) for column in found.columns]

    def _tested_alone(self, condition: Where, cancelled: threading.Event) -> Places | ConditionError:
        try:
            [places] = self._tested([condition], cancelled)
        except duckdb.InterruptException:
            return ConditionError(f"cannot test {DEADLINE_S:g} s long what has just arrived: ask for less")
        except duckdb.Error as exc:
            return ConditionError(f"cannot test what has just arrived: {exc}")
        return places
