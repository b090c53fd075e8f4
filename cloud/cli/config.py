"""`cloud config`: an inventory -> the configuration files of its hosts, and what is wrong with such files."""

from pathlib import Path

import click


@click.group()
def config() -> None:
    """Render and check the logging configuration of hosts."""


@config.command()
@click.argument("inventory", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out",
    "directory",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to write: a directory per host in it, which mirrors the host's root.",
)
def render(inventory: Path, directory: Path) -> None:
    """Write the files of every host in INVENTORY to DIR/<host>/etc/..."""
    from cloud.logs.generator.inventory import InventoryError, load_inventory
    from cloud.logs.generator.render import OutsideTreeError, render_host, write_tree

    try:
        loaded = load_inventory(inventory)
        for host in loaded.hosts:
            for path in write_tree(render_host(loaded, host), directory / host):
                click.echo(path)
    except (InventoryError, OutsideTreeError) as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(f"cannot write to {directory}: {exc}") from exc


@config.command()
@click.argument("directory", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.pass_context
def check(context: click.Context, directory: Path) -> None:
    """Check the hosts' trees in DIR, or DIR itself when it is one: exit 0 unless something would not work.

    Warnings name levels and thresholds that hide why a migration failed.
    """
    from cloud.logs.generator.check import check_tree, host_trees
    from cloud.logs.generator.tree import TreeError

    try:
        trees = host_trees(directory)
    except TreeError as exc:
        raise click.UsageError(str(exc)) from exc
    findings = [finding for tree in trees for finding in check_tree(tree)]
    for finding in findings:
        click.echo(f"{finding.host}: {finding.severity}: {finding.path}: {finding.message}")
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = sum(finding.severity == "warning" for finding in findings)
    click.echo(f"hosts: {len(trees)}, errors: {errors}, warnings: {warnings}")
    context.exit(1 if errors else 0)
