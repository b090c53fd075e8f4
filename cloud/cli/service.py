"""`cloud service`: run the daemons in the foreground, and look after those that run."""

import importlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloud.cli.bus import bus_client, config_file_option, printable
from cloud.rpc.topology import ROLES, Target

if TYPE_CHECKING:
    from cloud.domain.service import Service

CALL_TIMEOUT_S = 10.0
MAIN_ROUTE = ("nova-api", "nova-conductor", "nova-scheduler")
"""What `ping` goes along where nobody says otherwise, before every nova-compute that is up."""


class _Daemons(click.Group):
    """A group with a command for each daemon, whose code is loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *(Target(role).binary for role in ROLES)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        with suppress(ValueError):
            role = Target.of(cmd_name).role
            command: click.Command = importlib.import_module(f"cloud.services.{role}.daemon").main
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Daemons)
def service() -> None:
    """Run the daemons of the cloud, and see how they are."""


@service.command("list")
@click.option("--host", help="Only this host.")
@click.option("--binary", help="Only this service, e.g. nova-compute.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@config_file_option
def list_(host: str | None, binary: str | None, output: str, files: tuple[Path, ...]) -> None:
    """Show each service of each host: whether it may be used, and whether it is alive."""
    from cloud.services.conductor.client import ConductorClient

    with bus_client(files) as (client, _):
        services = ConductorClient(client, timeout_s=CALL_TIMEOUT_S).list_services(host=host, binary=binary)
    click.echo(json.dumps([item.as_dict() for item in services], indent=2) if output == "json" else _table(services))


@service.command()
@click.argument("host")
@click.argument("binary")
@config_file_option
def enable(host: str, binary: str, files: tuple[Path, ...]) -> None:
    """Let BINARY on HOST be used again."""
    from cloud.services.conductor.client import ConductorClient

    with bus_client(files) as (client, _):
        changed = ConductorClient(client, timeout_s=CALL_TIMEOUT_S).enable_service(host, binary)
    click.echo(_table([changed]))


@service.command()
@click.argument("host")
@click.argument("binary")
@click.option("--reason", help="Why, for whoever reads the list.")
@config_file_option
def disable(host: str, binary: str, reason: str | None, files: tuple[Path, ...]) -> None:
    """Let nothing new be put on BINARY on HOST; what runs there goes on."""
    from cloud.services.conductor.client import ConductorClient

    with bus_client(files) as (client, _):
        changed = ConductorClient(client, timeout_s=CALL_TIMEOUT_S).disable_service(host, binary, reason)
    click.echo(_table([changed]))


@service.command()
@click.argument("route", nargs=-1, metavar="[BINARY[@HOST]]...")
@config_file_option
def ping(route: tuple[str, ...], files: tuple[Path, ...]) -> None:
    """Send one request along a route of services, each of which asks the next, and show who answered.

    Without a route: nova-api, nova-conductor, nova-scheduler, then every nova-compute that is up, 64 in all at most.
    """
    from cloud.services.conductor.client import ConductorClient
    from cloud.services.control import MAX_HOPS, ControlClient

    with bus_client(files) as (client, request_id):
        hops = [_hop(text) for text in route]
        if not hops:
            computes = ConductorClient(client, timeout_s=CALL_TIMEOUT_S).list_services(binary="nova-compute")
            up = [Target.of(item.binary, item.host) for item in computes if item.is_up]
            hops = [*(Target.of(binary) for binary in MAIN_ROUTE), *up]
            if left_out := hops[MAX_HOPS:]:
                click.echo(f"cloud service ping: {len(left_out)} of {len(up)} nova-compute are left out", err=True)
            del hops[MAX_HOPS:]
        click.echo(f"request {request_id}")
        answers = ControlClient(client).ping_along(hops)
    click.echo(_route_table(answers))
    click.echo(f"cloud log tail --no-follow --request {request_id}")


def _hop(text: str) -> Target:
    binary, _, host = text.partition("@")
    return Target.of(binary, host or None)


def _table(services: "Sequence[Service]") -> str:
    """As the administration guide shows it."""
    from prettytable import PrettyTable

    table = PrettyTable(["Binary", "Host", "Zone", "Status", "State", "Updated_at", "Disabled Reason"], align="l")
    for item in services:
        cells = [
            item.binary,
            item.host,
            item.availability_zone,
            "enabled" if item.is_enabled else "disabled",
            "up" if item.is_up else "down",
            item.updated_at.replace(tzinfo=None).isoformat(timespec="microseconds"),
            item.disabled_reason or "-",
        ]
        table.add_row([printable(cell) for cell in cells])
    return str(table.get_string())


def _route_table(answers: Sequence[dict[str, Any]]) -> str:
    from prettytable import PrettyTable

    table = PrettyTable(["Hop", "Binary", "Host", "PID", "ms, with all after it"], align="l")
    for number, answer in enumerate(answers, start=1):
        elapsed_ms = f"{answer['elapsed_s'] * 1000:.1f}"
        cells = [number, answer["binary"], answer["host"], answer["pid"], elapsed_ms]
        table.add_row([printable(cell) for cell in cells])
    return str(table.get_string())
