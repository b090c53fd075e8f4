"""What `cloud up` shows of its programs."""

from pathlib import Path

from cloud.up.layout import Layout
from cloud.up.machine import Machine, Settings
from cloud.up.status import program_table, tell_of
from cloud.up.supervisor import Program, Stage, Status


def program(name: str, host: str | None) -> Program:
    return Program(name, host, Stage.SERVICE, lambda: ["true"], Path("/nonexistent"))


def test_each_program_is_a_line_with_its_process_or_down() -> None:
    table = program_table([Status(program("collector", None), 42, 0), Status(program("nova-api", "a"), None, 3)])
    assert table.splitlines() == [
        "+-----------+------+-----+---------+----------+",
        "| Program   | Host | PID | State   | Restarts |",
        "+-----------+------+-----+---------+----------+",
        "| collector | -    | 42  | running | 0        |",
        "| nova-api  | a    | -   | down    | 3        |",
        "+-----------+------+-----+---------+----------+",
    ]


def test_it_is_said_where_all_is_and_how_to_ask_it(tmp_path: Path) -> None:
    lines = list(tell_of(Machine(tmp_path, Settings(Layout(2), has_rsyslog=False))))
    assert lines[0] == f"hosts       {tmp_path}/hosts (no rsyslogd here: straight to the collector)"
    assert lines[2] == "services     (nova-api),  (identity),  (image)"  # their ports are chosen at the start
    assert lines[3] == f"store       {tmp_path}/store"
    assert lines[5].endswith("cloud log tail --host compute-02 --url ")
    assert lines[6] == f"use it      . {tmp_path}/openrc; nova list   (any client of OpenStack)"
    nova_conf = f"{tmp_path}/hosts/controller-01/etc/nova/nova.conf"
    assert lines[7] == "browse it   "
    assert lines[8].startswith(f"see it      export CLOUD_CONFIG_FILE={nova_conf}; ")
