"""What is asked: the query of an operator, and what somebody who knows the engine and these tables would write instead.

The SQL sees `logs`, all columns of the rows in files of days that the range touches, and `within`, the range. Its
answers have the columns of those of the API, as numbers where the store has numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from bench.query.data import BEGIN, OTHER_REQUEST, RARE_WORD, Made
from cloud.logs.collector.row import FOLDED, column_of_header
from cloud.logs.query.facets import NAMES
from cloud.logs.query.rows import SELECT
from cloud.logs.query.time_range import TimeRange

ROWS = 100
HOST = "compute-03"
TOP = 10
_NEWEST = f"ORDER BY observed_timestamp DESC, row_id DESC LIMIT {ROWS}"
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


class Route(Enum):
    """Of the API."""

    ROWS = auto()
    """`/search` without a stage."""
    TABLE = auto()
    """`/search` with one."""
    HISTOGRAM = auto()
    FACETS = auto()


@dataclass(frozen=True, slots=True)
class Question:
    """One question over a part of the data that ends where that ends."""

    name: str
    query: str
    span: timedelta | None
    """None is all of it."""
    sql: str
    route: Route = Route.ROWS
    at_most: float = 1.2
    """How many times as long as the SQL it may take."""

    def range_of(self, made: Made) -> TimeRange:
        return TimeRange(_begin(self.span, made), made.layout.end)


def _begin(span: timedelta | None, made: Made) -> datetime:
    return BEGIN if span is None else made.layout.end - span


def _rows(condition: str) -> str:
    return f"SELECT {SELECT} FROM logs WHERE {condition} AND within {_NEWEST}"  # noqa: S608 - ours


def _count(condition: str) -> str:
    return f"SELECT count(*) AS count FROM logs WHERE {condition} AND within"  # noqa: S608


def questions(made: Made) -> Sequence[Question]:
    """The nine of old, the word in all texts beside the word in the message, and what a page shows at first."""
    in_message = "regexp_matches(message, '(?i)migration')"
    return (
        Question(
            "last 100 errors of one host, 24 h",
            f"host:{HOST} severity:>=err",
            _DAY,
            _rows(f"hostname = '{HOST}' AND severity <= 3"),
        ),
        Question(
            "errors per host and 5 min, 24 h",
            "severity:>=err | count by host, 5m",
            _DAY,
            "SELECT epoch_us(observed_timestamp) // 300_000_000 * 300_000_000 AS time, hostname AS host,"
            " count(*) AS count FROM logs WHERE severity <= 3 AND within GROUP BY ALL ORDER BY time, count DESC, host",
            Route.TABLE,
        ),
        Question(
            "count 'migration' in messages, 24 h", "message:migration | count", _DAY, _count(in_message), Route.TABLE
        ),
        Question("last 100 'migration' in messages, 24 h", "message:migration", _DAY, _rows(in_message)),
        Question("count 'migration', 24 h", "migration | count", _DAY, _count(_anywhere("migration")), Route.TABLE),
        Question("last 100 'migration', 24 h", "migration", _DAY, _rows(_anywhere("migration"))),
        *_rare(made),
        Question(
            "request id, its column, everything",
            f"request_id:{made.request_id}",
            None,
            _rows(f"request_id = '{made.request_id}'"),
        ),
        Question(
            "request id anywhere in the text, everything",
            OTHER_REQUEST,
            None,
            _rows(f"contains(message, '{OTHER_REQUEST}')"),
            at_most=1 / 20,
        ),
        Question(
            "top 10 messages, 1 h",
            "| top 10 message",
            _HOUR,
            "SELECT message, count(*) AS count FROM logs WHERE within GROUP BY message"  # noqa: S608
            f" ORDER BY count DESC, message LIMIT {TOP}",
            Route.TABLE,
        ),
        Question(
            "top service and severity, 24 h",
            "| count by service, severity",
            _DAY,
            f"SELECT {column_of_header('app_name')} AS service, severity, sum(part)::BIGINT AS count"  # noqa: S608
            " FROM (SELECT header, severity, count(*) AS part FROM logs WHERE within GROUP BY ALL)"
            " GROUP BY ALL ORDER BY count DESC, service, severity",
            Route.TABLE,
        ),
        Question(
            "histogram by severity, 24 h",
            "",
            _DAY,
            "SELECT epoch_us(observed_timestamp) // 1_800_000_000 * 1_800_000_000 AS time, severity, count(*) AS count"
            " FROM logs WHERE within GROUP BY ALL ORDER BY time, severity",
            Route.HISTOGRAM,
        ),
        Question("facets, 24 h", "", _DAY, _facets(), Route.FACETS),
    )


def _rare(made: Made) -> Sequence[Question]:
    """Over all days, and where there are others over the last one: it has every second of these rows among few others.

    There the index has less to spare: a scan of all messages of a day takes as long as thirty spans of rows.
    """
    sql = _rows(f"contains(message, '{RARE_WORD}')")
    whole = Question("rare substring, everything", RARE_WORD, None, sql, at_most=1 / 5)
    return (whole,) if made.layout.days == 1 else (whole, Question("rare substring, 24 h", RARE_WORD, _DAY, sql))


def _anywhere(word: str) -> str:
    """A plain word: in the text, the ids and the values of the fields; no key of theirs holds it here."""
    columns = ("message", "request_id", "instance", "fields")
    return " OR ".join(f"regexp_matches({column}, '(?i){word}')" for column in columns).join("()")


def _facets() -> str:
    columns = ("hostname", "app_name", "facility", "severity", "event")
    parts = (
        "WITH parts AS MATERIALIZED (SELECT hostname, facility, severity, header, grouping_id(hostname, facility,"
        " severity, header) AS missing, count(*) AS part FROM logs WHERE within"
        " GROUP BY GROUPING SETS ((hostname), (facility), (severity), (header)))"
    )
    missing = {"hostname": 7, "facility": 11, "severity": 13, "header": 14}
    each = []
    for name, column in zip(NAMES, columns, strict=True):
        value = column_of_header(column) if column in FOLDED else f"{column}::VARCHAR"
        stored = "header" if column in FOLDED else column
        each.append(
            f"(SELECT '{name}' AS name, {value} AS value, sum(part)::BIGINT AS count FROM parts"  # noqa: S608
            f" WHERE missing = {missing[stored]} GROUP BY ALL ORDER BY count DESC, value LIMIT {TOP})"
        )
    return f"{parts} {' UNION ALL '.join(each)}"
