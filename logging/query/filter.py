"""What narrows rows, counts and tails beside a query, as a condition on rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cloud.logs.query.where import Where


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows are wanted; None and empty want all."""

    host: str | None = None
    service: str | None = None
    severity: int | None = None
    """This severity and worse ones (smaller numbers)."""
    request_id: str | None = None
    instance: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    """Exact values of keys of the JSON body that have no column."""
    without_events: Sequence[str] = ()
    """Events that are not wanted; a row without an event is."""
    within: Where = field(default_factory=Where)
    """What narrows all of the above, as the role of who asks does."""


def condition_of(wanted: Filter, bound: str = "true") -> Where:
    """A filter as a condition, behind `bound`."""
    clauses = [bound]
    parameters: dict[str, object] = {}
    for column, value in (
        ("hostname", wanted.host),
        ("app_name", wanted.service),
        ("request_id", wanted.request_id),
        ("instance", wanted.instance),
    ):
        if value is not None:
            clauses.append(f"{column} = ${column}")
            parameters[column] = value
    if wanted.severity is not None:
        clauses.append("severity <= $severity")
        parameters["severity"] = wanted.severity
    for number, (key, value) in enumerate(wanted.fields.items()):
        clauses.append(f"json_extract_string(fields, $path{number}) = $value{number}")
        parameters[f"path{number}"] = "/" + key.replace("~", "~0").replace("/", "~1")  # a JSON pointer: RFC 6901
        parameters[f"value{number}"] = value
    for number, event in enumerate(wanted.without_events):
        clauses.append(f"event IS DISTINCT FROM $event{number}")
        parameters[f"event{number}"] = event
    return Where(" AND ".join(clauses), parameters).and_(wanted.within)
