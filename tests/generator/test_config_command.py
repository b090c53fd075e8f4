"""`cloud config render` and `cloud config check`, from an inventory to an exit code."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloud.cli.config import config

EXAMPLE = Path(__file__).parents[2] / "logging/generator/example-inventory.yaml"
DIRECT = """
collector: {address: 172.20.1.43, port: 1024, protocol: tcp, allow_plaintext: true}
hosts:
  volume-01: {services: [volume], syslog: collector}
  compute-01: {services: [nova-compute], syslog: collector}
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(config, [str(argument) for argument in arguments])


def write_inventory(directory: Path, text: str = DIRECT) -> Path:
    path = directory / "inv.yaml"
    path.write_text(text)
    return path


def test_render_prints_what_it_wrote(tmp_path: Path) -> None:
    result = run("render", write_inventory(tmp_path), "--out", tmp_path / "trees")

    assert result.exit_code == 0
    assert [str(Path(line).relative_to(tmp_path / "trees")) for line in result.output.splitlines()] == [
        "volume-01/etc/nova/nova.conf",
        "volume-01/etc/nova/volume.conf",
        "volume-01/etc/nova/volume-logging.conf",
        "compute-01/etc/nova/nova.conf",
        "compute-01/etc/nova/nova-compute.conf",
        "compute-01/etc/nova/nova-compute-logging.conf",
    ]
    assert all(Path(line).is_file() for line in result.output.splitlines())


def test_render_of_a_wrong_inventory_writes_nothing(tmp_path: Path) -> None:
    path = write_inventory(tmp_path, DIRECT.replace("[nova-compute]", "[nova-cells]"))
    result = run("render", path, "--out", tmp_path / "trees")

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: cannot use inventory {path}: hosts.compute-01.services.0: unknown service")
    assert not (tmp_path / "trees").exists()


def test_render_says_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees/volume-01").write_text("in the way")
    result = run("render", write_inventory(tmp_path), "--out", tmp_path / "trees")

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: cannot write to {tmp_path / 'trees'}: ")


def test_check_passes_on_warnings_and_fails_on_errors(tmp_path: Path) -> None:
    trees = tmp_path / "trees"
    assert run("render", write_inventory(tmp_path), "--out", trees).exit_code == 0
    result = run("check", trees)
    assert (result.exit_code, result.output) == (0, "hosts: 2, errors: 0, warnings: 0\n")

    logging_conf = trees / "compute-01/etc/nova/nova-compute-logging.conf"
    text = logging_conf.read_text()
    logging_conf.write_text(text.replace("level = INFO", "level = ERROR"))
    result = run("check", trees)
    assert result.exit_code == 0
    assert result.output.startswith(f"compute-01: warning: {logging_conf}: [logger_nova] lets pass ERROR and up, which")
    assert result.output.endswith("hosts: 2, errors: 0, warnings: 1\n")

    logging_conf.write_text(text.replace("level = INFO", "level = LOUD"))
    result = run("check", trees / "compute-01")
    assert result.exit_code == 1
    assert result.output.startswith(f"compute-01: error: {logging_conf}: [logger_nova] level = LOUD is not one of ")


def test_check_refuses_lines_that_leave_a_machine_unencrypted(tmp_path: Path) -> None:
    trees = tmp_path / "trees"
    inventory = write_inventory(tmp_path, DIRECT.replace(", allow_plaintext: true", ""))
    assert run("render", inventory, "--out", trees).exit_code == 0

    result = run("check", trees)
    assert result.exit_code == 1
    path = trees / "volume-01/etc/nova/volume-logging.conf"
    assert f"volume-01: error: {path}: sends to 172.20.1.43 without TLS: whoever is on" in result.output
    assert "hosts: 2, errors: 2, " in result.output


@pytest.mark.server
def test_note_of_what_a_queue_in_memory_loses_is_no_failure(tmp_path: Path) -> None:
    text = "collector: {address: 127.0.0.1, port: 514}\nhosts: {compute-01: {services: [nova-compute]}}\n"
    assert run("render", write_inventory(tmp_path, text), "--out", tmp_path / "trees").exit_code == 0

    result = run("check", tmp_path / "trees")
    fragment = tmp_path / "trees/compute-01/etc/rsyslog.d/60-nova.conf"
    assert result.exit_code == 0
    assert result.output.startswith(f"compute-01: note: {fragment}: kill -9 of rsyslogd and power cuts lose the lines")


def test_check_of_nothing_is_a_usage_error(tmp_path: Path) -> None:
    result = run("check", tmp_path)
    assert result.exit_code == 2
    assert f"cannot check {tmp_path}: no nova.conf" in result.output
    assert run("check", tmp_path / "absent").exit_code == 2


@pytest.mark.server
def test_example_inventory_renders_and_checks_clean(tmp_path: Path) -> None:
    assert run("render", EXAMPLE, "--out", tmp_path).exit_code == 0

    result = run("check", tmp_path)
    assert (result.exit_code, result.output) == (0, "hosts: 5, errors: 0, warnings: 0\n")
