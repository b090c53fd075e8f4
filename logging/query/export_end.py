"""The last line of an export, by which whoever reads it knows that it is all there."""

import json
from collections.abc import Mapping
from typing import Any, Literal

Format = Literal["ndjson", "csv"]


def end_of(form: Format, rows: int, error: str | None) -> str:
    """The last line: how many rows there were, and what has cut them short; programs leave it out of what they keep."""
    said = {"rows": rows} if error is None else {"rows": rows, "error": error}
    text = json.dumps({"export": said})
    return f"{text}\n" if form == "ndjson" else f"# {text}\r\n"


def read_end(line: str) -> Mapping[str, Any] | None:
    """What `end_of` says in the last line of a whole answer; None for any other line."""
    try:
        said = json.loads(line.removeprefix("# "))["export"]
        return said if isinstance(said["rows"], int) else None
    except (ValueError, KeyError, TypeError):
        return None
