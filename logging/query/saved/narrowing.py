"""From a saved query and another one to the lines that both want."""

from cloud.logs.query.language.parser import parse
from cloud.logs.query.language.query import And, Query
from cloud.logs.query.language.writing import text_of


def narrowed(saved: str, query: str) -> str:
    """A query for both; its pipe is that of `query`, or else the saved one. `QueryError` for a `query` that is none."""
    asked = parse(query)
    if asked == Query(None):
        return saved
    kept = parse(saved)
    conditions = tuple(each.condition for each in (kept, asked) if each.condition is not None)
    condition = And(conditions) if len(conditions) > 1 else next(iter(conditions), None)
    return text_of(Query(condition, asked.stages or kept.stages))
