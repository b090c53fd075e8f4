"""The same question in three ways, with answers that can be compared: in SQL, as the routes ask it, and over HTTP."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from bench.query.data import Made
from bench.query.questions import ROWS, TOP, Question, Route
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.emit.levels import SEVERITIES
from cloud.logs.facilities import facility_name
from cloud.logs.query.counting import Asked, Counting
from cloud.logs.query.facets import facets
from cloud.logs.query.histogram import histogram, interval_for
from cloud.logs.query.language.compiler import compile_where
from cloud.logs.query.language.parser import parse
from cloud.logs.query.limit import Limit
from cloud.logs.query.rows import as_json
from cloud.logs.query.search import DEADLINE_S, Search
from cloud.logs.query.time_range import rfc3339

Answer = list[Any]
"""Rows as the API has them, the newest first; or tuples of values and a count, in an order of their own."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES: Mapping[str, Callable[[Any], str]] = {
    "time": lambda us: rfc3339(_EPOCH + timedelta(microseconds=us)),
    "severity": lambda number: SEVERITIES[int(number)],
    "facility": lambda number: facility_name(int(number)),
}


class PartialAnswerError(Exception):
    """A question was not answered within its deadline."""


def by_sql(store: DuckDbStore, question: Question, made: Made) -> Callable[[], Answer]:
    """Ask in SQL, on the product's own connection; what is given makes the answer comparable."""
    time = question.range_of(made)
    assert time.since is not None
    assert time.until is not None
    first_day, end_day = time.since.date().isoformat(), time.until.date().isoformat()
    with store.tables() as tables:
        wanted = [table.source(question.sql) for table in tables if first_day <= table.day < end_day]
        union = " UNION ALL ".join(f"SELECT * FROM {name}" for name in wanted)  # noqa: S608 - our own names
        within = time.where().sql
        sql = question.sql.replace("FROM logs", f"FROM ({union}) logs").replace("within", f"({within})")
        with store.files.connection.cursor() as cursor:
            found = cursor.execute(sql).to_arrow_table().to_pylist()
    if question.route is Route.ROWS:
        return lambda: [as_json(row) for row in found]
    if question.route is Route.FACETS:
        return lambda: _sorted((row["name"], _named(row["name"], row["value"]), row["count"]) for row in found)
    return lambda: _sorted(tuple(_named(name, value) for name, value in row.items()) for row in found)


class Product:
    """Asks a store as the routes do."""

    def __init__(self, store: DuckDbStore) -> None:
        self._store = store
        self._search = Search(store)

    def ask(self, question: Question, made: Made) -> Callable[[], Answer]:
        """Ask; what is given makes the answer comparable. `PartialAnswerError`."""
        query = parse(question.query)
        where, time = compile_where(query.condition), question.range_of(made)
        if question.route is Route.ROWS:
            page = self._search.page(where, time, ROWS)
            _require_whole(question, is_partial=page.is_partial)
            return lambda: page.rows
        asked = Asked(where, time, Limit.after(DEADLINE_S))
        if question.route is Route.TABLE:
            table = Counting(self._store).stage(asked, query.stages[0])
            _require_whole(question, is_partial=table.counts.is_partial)
            return lambda: _sorted(table.rows)
        if question.route is Route.HISTOGRAM:
            drawn = histogram(Counting(self._store), asked, interval_for(time))
            _require_whole(question, is_partial=drawn.counts.is_partial)
            return lambda: _sorted(
                (rfc3339(bucket.begin), severity, count)
                for bucket in drawn.buckets
                for severity, count in bucket.by_severity.items()
            )
        found = facets(self._store, asked, TOP)
        _require_whole(question, is_partial=found.is_partial)
        return lambda: _sorted(
            (name, value.value, value.count) for name, values in found.values_of.items() for value in values
        )


def by_http(http: httpx.Client, question: Question, made: Made) -> Callable[[], Answer]:
    """Ask a collector; what is given reads the answer. `PartialAnswerError`."""
    time = question.range_of(made)
    assert time.since is not None
    assert time.until is not None
    parameters: dict[str, str | int] = {
        "q": question.query,
        "since": rfc3339(time.since),
        "until": rfc3339(time.until),
    }
    path = {Route.HISTOGRAM: "/api/v1/histogram", Route.FACETS: "/api/v1/facets"}.get(question.route, "/api/v1/search")
    response = http.get(path, params=parameters).raise_for_status()

    def read() -> Answer:
        content = response.json()
        _require_whole(question, is_partial=content["is_partial"])
        if question.route is Route.ROWS:
            rows: Answer = content["rows"]
            return rows
        if question.route is Route.TABLE:
            return _sorted(map(tuple, content["table"]["rows"]))
        if question.route is Route.HISTOGRAM:
            return _sorted(
                (bucket["time"], severity, count)
                for bucket in content["buckets"]
                for severity, count in bucket["severities"].items()
            )
        return _sorted(
            (name, value["value"], value["count"]) for name, values in content["facets"].items() for value in values
        )

    return read


def _sorted(rows: Iterable[tuple[Any, ...]]) -> Answer:
    return sorted(rows, key=repr)


def _named(name: str, value: Any) -> Any:
    return value if value is None or name not in _NAMES else _NAMES[name](value)


def _require_whole(question: Question, *, is_partial: bool) -> None:
    if is_partial:
        raise PartialAnswerError(f"cannot compare {question.name}: only a part was found in time")
