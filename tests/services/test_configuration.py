"""nova.conf as every service reads it."""

import socket
import traceback
from pathlib import Path

import pytest
from oslo_config import cfg

from cloud.services.configuration import ConfigurationError, read_configuration


def write(directory: Path, text: str | bytes, name: str = "nova.conf") -> Path:
    file = directory / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def complaint_about(files: list[Path], host: str | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(files, host=host)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "compute-07.example")
    conf = read_configuration([write(tmp_path, "")])
    assert (conf.host, conf.report_interval, conf.state_path) == ("compute-07.example", 10, "/var/lib/nova")


def test_later_file_wins_and_the_command_line_over_both(tmp_path: Path) -> None:
    first = write(tmp_path, "[DEFAULT]\nhost = a\nreport_interval = 5\n", "1.conf")
    second = write(tmp_path, "[DEFAULT]\nhost = b\n", "2.conf")
    assert read_configuration([first, second]).host == "b"
    conf = read_configuration([first, second], host="compute-01")
    assert (conf.host, conf.report_interval) == ("compute-01", 5)


def test_keys_and_sections_of_other_services_are_nobodys_fault(tmp_path: Path) -> None:
    file = write(tmp_path, "[DEFAULT]\nrabbit_host = x\nhost = a\n[libvirt]\nvirt_type = kvm\n")
    assert read_configuration([file]).host == "a"


def test_value_may_refer_to_another(tmp_path: Path) -> None:
    file = write(tmp_path, "[DEFAULT]\nhost = a\nstate_path = /srv/$host\n")
    assert read_configuration([file]).state_path == "/srv/a"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[DEFAULT]\nreport_interval = 0\n", "option report_interval of {file}: Should be greater than or equal to 1"),
        ("[DEFAULT]\nreport_interval = 1e9\n", "option report_interval of {file}: invalid literal for int()"),
        ("[DEFAULT]\nhost = my_host\n", "option host of {file}: my_host is not a valid host address"),
        ("[DEFAULT]\nhost =\n", "option host of {file}: is not a valid host address"),
        ("[DEFAULT]\nstate_path = $nope\n", "option state_path of {file}: no such option nope in group [DEFAULT]"),
        ("debug = 1\n", "configuration {file}: Failed to parse {file}: at {file}:1, Section must be started"),
        ("[DEFAULT]\nx y\n", "configuration {file}: Failed to parse {file}: at {file}:2, No ':' or '=' found"),
        (b"[DEFAULT]\nhost = \xff\n", "configuration {file}: 'utf-8' codec can't decode"),
    ],
)
def test_bad_file_is_one_line_that_names_it(tmp_path: Path, text: str | bytes, complaint: str) -> None:
    file = write(tmp_path, text)
    assert complaint.format(file=file) in complaint_about([file])


def test_file_of_a_bad_value_is_named_among_several(tmp_path: Path) -> None:
    files = [write(tmp_path, "[DEFAULT]\nreport_interval = x\n", "1.conf"), write(tmp_path, "[DEFAULT]\n", "2.conf")]
    assert f"option report_interval of {files[0]}: " in complaint_about(files)


def test_missing_file_and_directory_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.conf"
    assert str(missing) in complaint_about([missing])
    assert str(tmp_path) in complaint_about([tmp_path])


def test_host_of_the_command_line_is_checked(tmp_path: Path) -> None:
    assert complaint_about([write(tmp_path, "")], host="a b").startswith("cannot use --host: a b is not")


def test_machine_whose_name_is_no_host_address_is_told_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "my_host")
    assert complaint_about([write(tmp_path, "")]) == (
        "cannot use this machine's own name (no configuration says host): my_host is not a valid host address"
    )


def test_environment_is_a_source_that_an_error_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_DEFAULT__DEBUG", "maybe")
    assert complaint_about([write(tmp_path, "")]) == (
        "cannot use option debug of OS_DEFAULT__DEBUG: Unexpected boolean value 'maybe'"
    )


GROUP = {
    "vault": [
        cfg.StrOpt("token", secret=True, max_length=12),
        cfg.IntOpt("retries", default=3, min=1),
        cfg.StrOpt("site"),
    ]
}


def test_options_of_a_group_are_read_from_its_section(tmp_path: Path) -> None:
    file = write(tmp_path, "[DEFAULT]\nretries = 9\n[vault]\ntoken = s3cret\n")
    conf = read_configuration([file], host="a", groups=GROUP)
    assert (conf.vault.token, conf.vault.retries, conf.host) == ("s3cret", 3, "a")


def test_bad_value_in_a_group_names_the_file_that_has_it_the_section_and_the_option(tmp_path: Path) -> None:
    files = [write(tmp_path, "[vault]\nretries = 0\n", "1.conf"), write(tmp_path, "[DEFAULT]\nretries = 5\n", "2.conf")]
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(files, host="a", groups=GROUP)
    assert str(caught.value) == (
        f"cannot use option [vault] retries of {files[0]}: Should be greater than or equal to 1"
    )


def test_environment_is_named_for_a_group_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_VAULT__RETRIES", "many")
    with pytest.raises(ConfigurationError, match=r"^cannot use option \[vault\] retries of OS_VAULT__RETRIES: invalid"):
        read_configuration([write(tmp_path, "")], host="a", groups=GROUP)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "[vault]\ntoken = hunter2-is-long\n",
            "option [vault] token of {file}: its value, not shown here, is not valid",
        ),
        (
            "[vault]\ntoken = a$hunter2\n",
            "option [vault] token of {file}: its value, not shown here, has a $ that no option's name follows; $$ stands for a $",
        ),
        (
            "[vault]\ntoken hunter2\n",
            "configuration {file}: Failed to parse {file}: at {file}:2, No ':' or '=' found in assignment",
        ),
        (
            "[vault]\n  token = hunter2\n",
            "configuration {file}: Failed to parse {file}: at {file}:2, Unexpected continuation line",
        ),
    ],
)
def test_secret_is_in_no_part_of_an_error(tmp_path: Path, text: str, complaint: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        read_configuration([file], host="a", groups=GROUP)
    assert str(caught.value).endswith(complaint.format(file=file))
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
