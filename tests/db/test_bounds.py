"""What columns hold, and what is cut."""

import pytest

from cloud.db.batches import batches
from cloud.db.bounds import check_values, cut
from cloud.db.models import ClaimRow, FixedIpRow, InstanceRow
from cloud.errors import BadRequestError


def test_values_that_fit_pass() -> None:
    check_values(InstanceRow, {"uuid": "u" * 36, "user_data": "d" * 100_000, "progress": 2**31 - 1, "host": None})
    check_values(InstanceRow, {"has_config_drive": True, "flavor": {"id": 2**40}})
    check_values(FixedIpRow, {"number": 2**32 - 1})


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"host": "h" * 256}, "cannot store host: it has more than 255 characters"),
        ({"instance_uuid": "u" * 37}, "cannot store instance_uuid: it has more than 36 characters"),
        ({"memory_mb": 2**31}, "cannot store memory_mb: 2147483648 is beyond 2147483647"),
        ({"memory_mb": -(2**31)}, "cannot store memory_mb: -2147483648 is beyond 2147483647"),
    ],
)
def test_value_that_does_not_fit_is_named(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        check_values(ClaimRow, values)
    assert str(caught.value) == complaint


def test_long_text_is_cut_and_says_so() -> None:
    assert cut("a" * 255) == "a" * 255
    assert cut("a" * 256) == "a" * 252 + "..."
    assert cut("abcdef", 5) == "ab..."


def test_batches_keep_the_order_and_leave_none_out() -> None:
    assert list(batches([])) == []
    assert list(batches({"a": 1, "b": 2})) == [("a", "b")]
    assert [len(batch) for batch in batches([str(number) for number in range(10_001)])] == [5000, 5000, 1]
