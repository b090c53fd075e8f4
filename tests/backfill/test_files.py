"""Which files are nova's log, and which of them is older."""

import random
from pathlib import Path

import pytest

from cloud.logs.backfill.files import LocalFiles, list_files
from cloud.logs.backfill.records import MAX_RECORD_BYTES, records

OLDEST_FIRST = [
    ["nova.log.10.gz", "nova.log.9.gz", "nova.log.2.gz", "nova.log.1", "nova.log"],
    ["nova.log-20251231.gz", "nova.log-20260130.xz", "nova.log-20260131", "nova.log"],
    ["nova.log-2026-01-30.gz", "nova.log-2026-01-31-1700", "nova.log"],
    ["nova-20260130.log.gz", "nova-20260131.log", "nova.log"],
    ["nova.log-1769817600.zst", "nova.log.3", "nova.log"],
]
NOT_OURS = [
    "nova-api.log",
    "nova.log.swp",
    "nova.log.1.gz.part",
    "nova.log~",
    "xnova.log",
    "nova.log.offset",
    "nova.log-",
]


@pytest.mark.parametrize("names", OLDEST_FIRST)
def test_rotated_files_come_oldest_first(tmp_path: Path, names: list[str]) -> None:
    shuffled = [*names, *NOT_OURS]
    random.Random(7).shuffle(shuffled)  # noqa: S311
    for name in shuffled:
        (tmp_path / name).touch()
    (tmp_path / "nova.log.4").mkdir()
    assert [file.name for file in list_files(LocalFiles(tmp_path))] == names


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"<13>1 a\n<13>1 b\n", [b"<13>1 a", b"<13>1 b"]),
        (b"<13>1 a\nmore\n\n<1>x\n<13>1 b\n", [b"<13>1 a\nmore\n\n<1>x", b"<13>1 b"]),
        (b"<13>1 a\n<13>1 b", [b"<13>1 a"]),
        (b"<13>1 a\nmo", [b"<13>1 a"]),
        (b"tail of one\n<13>1 b\n", [b"tail of one", b"<13>1 b"]),
        (b"<13>1 \xff\x00\n", [b"<13>1 \xff\x00"]),
        (
            b"<13>1 a" + b"x" * MAX_RECORD_BYTES + b"<13>1 y\n<13>1 b\n",
            [b"<13>1 a" + b"x" * (MAX_RECORD_BYTES - 8), b"<13>1 b"],
        ),
    ],
)
def test_a_record_is_a_line_and_what_goes_on_with_it(tmp_path: Path, content: bytes, expected: list[bytes]) -> None:
    path = tmp_path / "nova.log"
    path.write_bytes(content)
    with path.open("rb") as stream:
        assert list(records(stream)) == expected
