"""`cloud service`: run a daemon in the foreground."""

import click

from cloud.services.compute.daemon import main as nova_compute

DAEMONS = (nova_compute,)


@click.group()
def service() -> None:
    """Run the daemons of the cloud."""


for daemon in DAEMONS:
    service.add_command(daemon)
