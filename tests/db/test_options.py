"""The group [database] of nova.conf."""

import traceback
from pathlib import Path

import pytest
from oslo_config import cfg

from cloud.db.options import DATABASE_OPTIONS, configured_database
from cloud.db.url import DatabaseUrlError
from cloud.services.configuration import ConfigurationError, read_configuration


def read(directory: Path, text: str) -> cfg.ConfigOpts:
    (directory / "nova.conf").write_text(text)
    return read_configuration([directory / "nova.conf"], groups={"database": DATABASE_OPTIONS})


def test_database_is_the_one_that_connection_names(tmp_path: Path) -> None:
    conf = read(tmp_path, "[database]\nconnection = postgresql://nova:hunter2@db/nova\nmax_pool_size = 3\n")
    with configured_database(conf) as database:
        assert database.name == "postgresql://nova:***@db/nova"


def test_bounds_have_defaults(tmp_path: Path) -> None:
    group = read(tmp_path, "").database
    assert {name: group[name] for name in group} == {
        "connection": None,
        "max_pool_size": 5,
        "max_overflow": 10,
        "pool_timeout_s": 10.0,
        "connect_timeout_s": 5,
        "lock_timeout_s": 5.0,
        "statement_timeout_s": 30.0,
    }


def test_missing_connection_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUrlError, match=r"^cannot use a database: option \[database\] connection is not set$"):
        configured_database(read(tmp_path, ""))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            "connection = sqlite:///nova.db",
            "the URL of a SQLite database names its file by an absolute path: sqlite:////PATH",
        ),
        (
            "connection = postgresql://nova:pass@hunter2@db/nova",
            "an @ in the name or password of a database URL is written %40",
        ),
        ("max_pool_size = 0", "Should be greater than or equal to 1"),
        ("lock_timeout_s = soon", "could not convert string to float: 'soon'"),
    ],
)
def test_bad_value_is_named_by_group_and_option(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, f"[database]\n{line}\n")
    option = line.partition(" ")[0]
    assert str(caught.value) == f"cannot use option [database] {option} of {tmp_path}/nova.conf: {complaint}"
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
