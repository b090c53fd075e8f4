"""Plain words as SQL: looked for in the message, the ids, and the values of the fields, in whatever case.

What a classic line of a service has in its text, a structured one has in `request_id`, `instance` and its fields: a
word that is copied out of a line finds it again either way. RE2 without case is the fastest of what is right beyond
ASCII: over a million messages of 75 bytes one core took 0.11 s, and as long where a hundredth of them has an accent;
`contains` of `lower` 0.11 s and 0.17 s, ILIKE 0.26 to 0.65 s. It also takes the three sigmas for one.
"""

import re

from cloud.logs.query.language.parameters import Parameters, UnfitTestError
from cloud.logs.query.language.query import Exists, Number, Test, Text, Wildcard
from cloud.logs.query.language.texts import sought, sought_wildcard

_COLUMNS = ("message", "request_id", "instance")
_SEPARATOR = 0x1E  # no query can hold it
_VALUES = f"array_to_string(json_extract_string(fields, '$.*'), chr({_SEPARATOR}))"
_ESCAPED_IN_JSON = re.compile(r'["\\\t\n\r]')


def anywhere(test: Test, parameters: Parameters) -> str:
    """Rows that have the word or phrase in one of the texts. Of nested fields it sees the JSON."""
    match test:
        case Exists():
            return "true"
        case Text(text) | Number(text):
            pattern = parameters.add("(?is)" + sought(text))
            fields = f"regexp_matches({_VALUES}, {pattern})"
            if _ESCAPED_IN_JSON.search(text) is None:  # then few rows need to be taken apart
                fields = f"(regexp_matches(fields, {pattern}) AND {fields})"
        case Wildcard():
            pattern = parameters.add("(?is)" + sought_wildcard(test))
            within = parameters.add("(?i)" + sought_wildcard(test, rf"[^\x{_SEPARATOR:x}]"))
            fields = f"regexp_matches({_VALUES}, {within})"
        case _:
            raise UnfitTestError("expected a word, or a name in front of the test")
    columns = (f"regexp_matches({column}, {pattern})" for column in _COLUMNS)
    return f"({' OR '.join(columns)} OR {fields})"
