"""The bus as a command reaches it: over the nova.conf of the host that it runs on, for one request of its own."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cloud.errors import CloudError
from cloud.rpc.client import RpcClient

config_file_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--config-file",
    "files",
    multiple=True,
    envvar="CLOUD_CONFIG_FILE",
    type=click.Path(dir_okay=False, readable=False, path_type=Path),  # whoever reads it says what is wrong
    default=("/etc/nova/nova.conf",),
    show_default=True,
    help="May repeat; later files win. Also from CLOUD_CONFIG_FILE.",
)


_OF_ANOTHER_PROCESS = (ValueError, TypeError, LookupError, OSError)
"""What its defect may come to here as, and what its answer may be for if it is of another version."""


def printable(value: object) -> str:
    """`value` on one line, with escapes for what a terminal would act on: another process has said it."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(value))


@contextmanager
def bus_client(files: tuple[Path, ...]) -> Iterator[tuple[RpcClient, str]]:
    """A client and the id of the request that all of the block belongs to; what goes wrong is one line, and exit 1."""
    from cloud.logs.emit import request_context
    from cloud.logs.emit.settings import LogSettings
    from cloud.logs.emit.setup import set_up_logging
    from cloud.rpc.brokers import BusUrlError
    from cloud.rpc.options import configured_publisher
    from cloud.services.configuration import ConfigurationError, read_configuration

    set_up_logging(LogSettings(level=40), service="cloud", host="-")  # what goes wrong, we say ourselves
    request_id = f"req-{uuid.uuid4()}"
    try:
        publisher = configured_publisher(read_configuration(files))
    except (ConfigurationError, BusUrlError) as exc:
        raise click.ClickException(str(exc)) from exc
    client = RpcClient(publisher, "cloud command")
    try:
        with request_context(request_id=request_id):
            yield client, request_id
    except (CloudError, *_OF_ANOTHER_PROCESS) as exc:
        raise click.ClickException(printable(exc)) from exc
    finally:
        client.close()
        publisher.close()
