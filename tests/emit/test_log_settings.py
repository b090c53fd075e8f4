"""The logging keys of nova.conf mean what the administration guide says."""

import logging
from pathlib import Path

import pytest

from cloud.logs.emit.settings import LogSettings, log_settings
from cloud.services.configuration import ConfigurationError, read_configuration


def settings_of(directory: Path, *texts: str) -> LogSettings:
    files = []
    for number, text in enumerate(texts):
        files.append(directory / f"nova{number}.conf")
        files[-1].write_text(f"[DEFAULT]\n{text}\n")
    return log_settings(read_configuration(files))


def test_defaults_are_warnings_to_stderr(tmp_path: Path) -> None:
    assert settings_of(tmp_path, "") == LogSettings(
        level=logging.WARNING,
        use_syslog=False,
        syslog_log_facility=None,
        syslog_address="unix:/run/nova/log.sock",
        log_config=None,
        ignored=(),
    )


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("debug = False\nverbose = False", logging.WARNING),
        ("verbose = True", logging.INFO),
        ("debug = True", logging.DEBUG),
        ("debug = True\nverbose = False", logging.DEBUG),
        ("debug = yes", logging.DEBUG),
        ("debug = 0\nverbose = on", logging.INFO),
    ],
)
def test_debug_then_verbose_then_warning(tmp_path: Path, text: str, level: int) -> None:
    assert settings_of(tmp_path, text).level == level


@pytest.mark.parametrize("number", range(8))
def test_every_local_facility_has_its_guide_name(tmp_path: Path, number: int) -> None:
    settings = settings_of(tmp_path, f"use_syslog = True\nsyslog_log_facility = LOG_LOCAL{number}")
    assert settings.use_syslog
    assert settings.syslog_log_facility == f"local{number}"


@pytest.mark.parametrize(
    ("written", "facility"),
    [("log_local3", "local3"), ("local3", "local3"), ("LOG_USER", "user"), ("LOG_DAEMON", "daemon"), ("", None)],
)
def test_other_spellings_of_a_facility(tmp_path: Path, written: str, facility: str | None) -> None:
    assert settings_of(tmp_path, f"syslog_log_facility = {written}").syslog_log_facility == facility


@pytest.mark.parametrize("key", ["log-config", "log_config", "log_config_append"])
def test_log_config_wins_over_all_and_names_whom(tmp_path: Path, key: str) -> None:
    text = (
        f"{key} = /etc/nova/logging.conf\ndebug = True\nverbose = False\nuse_syslog = True\n"
        "syslog_log_facility = LOG_LOCAL4\nsyslog_address = tcp://127.0.0.1:514"
    )
    settings = settings_of(tmp_path, text)
    assert settings.log_config == "/etc/nova/logging.conf"
    assert settings.ignored == ("debug", "verbose", "use_syslog", "syslog_log_facility", "syslog_address")


def test_log_config_alone_ignores_nothing(tmp_path: Path) -> None:
    assert settings_of(tmp_path, "log-config = /l.conf").ignored == ()


def test_empty_log_config_is_none(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "log-config =\ndebug = True")
    assert (settings.log_config, settings.level, settings.ignored) == (None, logging.DEBUG, ())


def test_later_file_wins_and_what_it_does_not_say_stays(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "debug = True\nuse_syslog = True", "debug = False\nlog-config = /l.conf")
    assert (settings.level, settings.use_syslog, settings.log_config) == (logging.WARNING, True, "/l.conf")
    assert settings.ignored == ("debug", "use_syslog")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("debug = maybe", "debug of {file}: Unexpected boolean value 'maybe'"),
        ("verbose = 2", "verbose of {file}: Unexpected boolean value '2'"),
        ("use_syslog = /dev/log", "use_syslog of {file}: Unexpected boolean value '/dev/log'"),
        (
            "syslog_log_facility = LOG_LOCAL8",
            "syslog_log_facility of {file}: expected LOG_LOCAL0 to LOG_LOCAL7, LOG_USER or LOG_DAEMON, not 'LOG_LOCAL8'",
        ),
        (
            "syslog_address = /dev/log",
            "syslog_address of {file}: cannot use syslog address '/dev/log': expected unix:/PATH or tcp://HOST:PORT",
        ),
        ("log-config = $nope/l.conf", "log-config of {file}: no such option nope in group [DEFAULT]"),
    ],
)
def test_wrong_value_is_one_line_that_names_file_and_option(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings_of(tmp_path, text)
    assert str(caught.value).startswith("cannot use option " + complaint.format(file=tmp_path / "nova0.conf"))
    assert len(str(caught.value).splitlines()) == 1
