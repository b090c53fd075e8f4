"""From a query's condition to SQL: the one place where the language meets the store."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from cloud.logs.query.language.anywhere import anywhere
from cloud.logs.query.language.coded import facility_test, flags_test, severity_test
from cloud.logs.query.language.json_fields import field_test, field_value
from cloud.logs.query.language.names import COLUMNS, Kind, kind_of
from cloud.logs.query.language.needs import need_of
from cloud.logs.query.language.ordered import counter_test, time_test
from cloud.logs.query.language.parameters import Parameters
from cloud.logs.query.language.query import And, Condition, Name, Not, Or, QueryError, Term, Test
from cloud.logs.query.language.texts import caseless_test, message_test, text_test
from cloud.logs.query.where import Where

_TESTS: Mapping[Kind, Callable[[str, Test, Parameters], str]] = MappingProxyType(
    {
        Kind.TEXT: text_test,
        Kind.CASELESS: caseless_test,
        Kind.MESSAGE: message_test,
        Kind.SEVERITY: severity_test,
        Kind.FACILITY: facility_test,
        Kind.COUNTER: counter_test,
        Kind.TIME: time_test,
        Kind.FLAGS: flags_test,
    }
)
"""How the tests of a column become SQL; each raises `ValueError` for a test that its values cannot pass or fail."""


def compile_where(condition: Condition | None) -> Where:
    """What `condition` wants, over the columns of a row; `QueryError` for a value that a column cannot have."""
    if condition is None:
        return Where()
    parameters = Parameters()
    return Where(_condition(condition, parameters), parameters.values, need_of(condition))


def compile_value(name: Name) -> Where:
    """The value of a name in a row, as SQL to group by; NULL where the row has none."""
    if not name.is_field:
        return Where(COLUMNS[name.text].column)
    parameters = Parameters("group")
    return Where(field_value(name.text, parameters), parameters.values)


def _condition(condition: Condition, parameters: Parameters) -> str:
    match condition:
        case Term():
            return _term(condition, parameters)
        case Not(inner):
            return f"(({_condition(inner, parameters)}) IS NOT TRUE)"  # what is not there is not equal either
        case And(conditions):
            return "(" + " AND ".join(_condition(inner, parameters) for inner in conditions) + ")"
        case Or(conditions):
            return "(" + " OR ".join(_condition(inner, parameters) for inner in conditions) + ")"


def _term(term: Term, parameters: Parameters) -> str:
    try:
        if term.name is None:
            return anywhere(term.test, parameters)
        if term.name.is_field:
            return field_test(term.name.text, term.test, parameters)
        return _TESTS[kind_of(term.name)](COLUMNS[term.name.text].column, term.test, parameters)
    except ValueError as exc:
        about = "" if term.name is None else f"{term.name.text}: "
        raise QueryError(f"{about}{exc}", term.column, getattr(exc, "expected", ())) from exc
