import pytest

from cloud.logs.query.where import Where


def test_every_row_and_a_condition_is_the_condition() -> None:
    where = Where("host = $host", {"host": "compute-01"})
    assert Where().and_(where) == where
    assert where.and_(Where()) == where
    assert Where().and_(Where()) == Where("true", {})


def test_parameters_of_one_name_stay_apart() -> None:
    first = Where("a = $p AND b = $p1", {"p": 1, "p1": 2})
    both = first.and_(Where("c = $p OR d = $p0", {"p": 3, "p0": 4}))
    assert both == Where("(a = $p AND b = $p1) AND (c = $p2 OR d = $p0)", {"p": 1, "p1": 2, "p2": 3, "p0": 4})


def test_a_new_name_is_none_that_either_condition_has() -> None:
    first = Where("a = $x AND b = $p0", {"x": 1, "p0": 2})
    both = first.and_(Where("c = $p1 OR d = $x OR e = $p0", {"p1": 3, "x": 4, "p0": 5}))
    assert both.sql == "(a = $x AND b = $p0) AND (c = $p1 OR d = $p2 OR e = $p3)"
    assert both.parameters == {"x": 1, "p0": 2, "p1": 3, "p2": 4, "p3": 5}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_any_number_of_conditions_can_be_joined(order: tuple[int, int, int]) -> None:
    parts = [Where(f"column{number} = $query0", {"query0": number}) for number in range(3)]
    joined = Where()
    for number in order:
        joined = joined.and_(parts[number])
    assert sorted(joined.parameters.values(), key=str) == [0, 1, 2]
    for name, value in joined.parameters.items():
        assert f"column{value} = ${name}" in joined.sql
