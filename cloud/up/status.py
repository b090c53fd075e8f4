"""What `cloud up` shows of itself."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from prettytable import PrettyTable

from cloud.up.accounts import OPENRC
from cloud.up.machine import Machine
from cloud.up.supervisor import Status


def program_table(statuses: Sequence[Status]) -> str:
    """A line for each program: where it plays, its process, and how often it was started again."""
    table = PrettyTable(["Program", "Host", "PID", "State", "Restarts"], align="l")
    for status in statuses:
        state = "running" if status.pid is not None else "down"
        table.add_row([status.program.name, status.program.host or "-", status.pid or "-", state, status.restarts])
    return str(table.get_string())


def tell_of(machine: Machine) -> Iterator[str]:
    """Where everything is, and how to ask it."""
    way = "each its own rsyslogd" if machine.settings.has_rsyslog else "no rsyslogd here: straight to the collector"
    yield f"hosts       {machine.directory / 'hosts'} ({way})"
    yield f"collector   {machine.syslog_url} (syslog), {machine.http_url} (API, /metrics)"
    urls = {"nova-api": machine.compute_url, "identity": machine.identity_url, "image": machine.image_url}
    yield f"services    {', '.join(f'{url} ({name})' for name, url in urls.items())}"
    yield f"store       {machine.directory / 'store'}"
    yield f"output      {machine.directory / 'output'}"
    program = Path(sys.executable).parent / "cloud"
    yield f"ask it      {program} log tail --host {machine.hosts[-1]} --url {machine.http_url}"
    yield f"use it      . {machine.directory / OPENRC}; nova list   (any client of OpenStack)"
    yield f"browse it   {machine.http_url}"
    yield f"see it      export CLOUD_CONFIG_FILE={machine.nova_conf()}; {program} service list"
