"""The `cloud` command: one group, a family of commands a file."""

import sys

import click

from cloud.cli.bootstrap import bootstrap
from cloud.cli.completion import completion
from cloud.cli.config import config
from cloud.cli.db import db
from cloud.cli.doctor import doctor
from cloud.cli.log import log
from cloud.cli.service import service
from cloud.cli.up import up


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cloud", message="%(version)s")
def cli() -> None:
    """The cloud and its logs."""


cli.add_command(bootstrap)
cli.add_command(completion)
cli.add_command(config)
cli.add_command(db)
cli.add_command(doctor)
cli.add_command(log)
cli.add_command(service)
cli.add_command(up)


def main() -> None:
    """Entry point of the console script `cloud`."""
    sys.exit(cli(prog_name="cloud"))  # as python -m cloud, too
