"""A condition on rows as SQL and its parameters: what the language, the roles and the readers narrow a question by."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cloud.logs.collector.index.needs import Need, all_of

_PARAMETER = re.compile(r"\$([A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Where:
    """What may stand behind WHERE, over the columns of a row; true wants every row.

    What a user typed is a parameter and never part of the text. A row for which it is NULL is not wanted.
    """

    sql: str = "true"
    parameters: Mapping[str, object] = field(default_factory=dict)
    """By the names that stand in `sql` behind a dollar sign."""
    need: Need | None = None
    """What the texts of a wanted row hold, for who knows where such rows are; never more than `sql` asks for."""

    def and_(self, other: "Where") -> "Where":
        """What wants the rows that both want; a name of a parameter that both use is another one in the result."""
        if self.sql == "true":
            return other
        if other.sql == "true":
            return self
        renamed = other._without(self.parameters)
        return Where(
            f"({self.sql}) AND ({renamed.sql})",
            {**self.parameters, **renamed.parameters},
            all_of([self.need, other.need]),
        )

    def prefixed(self, prefix: str) -> str:
        """Its SQL with `prefix` before the names of all parameters, for one statement with several conditions."""
        return _PARAMETER.sub(rf"${prefix}\1", self.sql)

    def _without(self, taken: Mapping[str, object]) -> "Where":
        """The same condition with names of parameters of which none is in `taken`."""
        names: dict[str, str] = {}
        number = 0
        for name in self.parameters:
            new = name
            while new in taken or new in names.values() or (new != name and new in self.parameters):
                new = f"p{number}"
                number += 1
            names[name] = new
        sql = _PARAMETER.sub(lambda found: f"${names.get(found[1], found[1])}", self.sql)
        return Where(sql, {names[name]: value for name, value in self.parameters.items()})
