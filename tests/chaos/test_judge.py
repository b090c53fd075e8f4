from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.chaos.accounts import Line, Sent, respooled
from tests.chaos.judge import Verdict, judge

SENT = Sent({"a": {1, 2, 3, 4}})
JUDGED = [
    ("all is well", [1, 2, 3, 4], set(), Verdict(0, 0, 0, 0)),
    ("a line is missing", [1, 2, 4], set(), Verdict(1, 0, 0, 0)),
    ("a line came twice", [1, 2, 2, 3, 4], set(), Verdict(0, 1, 0, 0)),
    ("a line came late", [1, 3, 2, 4], set(), Verdict(0, 0, 1, 1)),
    ("a line came late, and so it stood in the spool", [2, 3, 4, 1], {("a", 1)}, Verdict(0, 0, 1, 0)),
    ("one of two late lines stood so in the spool", [3, 4, 1, 2], {("a", 1)}, Verdict(0, 0, 2, 1)),
    ("another run's spool explains nothing", [2, 3, 4, 1], {("b", 1)}, Verdict(0, 0, 1, 1)),
]


@pytest.mark.parametrize(("numbers", "spooled", "expected"), [case[1:] for case in JUDGED], ids=[c[0] for c in JUDGED])
def test_a_store_is_judged(tmp_path: Path, numbers: list[int], spooled: set[Line], expected: Verdict) -> None:
    stored = pa.table(
        {
            "cloudlog.host_start": ["a"] * len(numbers),
            "event.sequence": pa.array(numbers, pa.uint64()),
            "cloudlog.row_id": list(range(len(numbers))),
            "source.address": ["127.0.0.1"] * len(numbers),
            "host.name": ["compute-01"] * len(numbers),
        }
    )
    pq.write_table(stored, tmp_path / "rows.parquet")
    assert judge(tmp_path / "rows.parquet", ["compute-01"], SENT, spooled) == expected


def test_what_a_stopped_rsyslogd_has_put_behind_is_found_in_its_spool(tmp_path: Path) -> None:
    for file, numbers in (("nova_fwd.00000001", (2, 3)), ("nova_fwd.00000002", (4, 1))):
        lines = [f'[line@32473 host="compute-01" start="0A" n="{number}"] text' for number in numbers]
        (tmp_path / file).write_text("\n".join(lines))
    assert respooled(tmp_path) == {("0A", 1)}
