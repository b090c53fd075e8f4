"""`cloud log explain`: why a migration, an instance or a request failed."""

import json
import shutil
import sys
from pathlib import Path

import click

from cloud.cli.log_asking import EXIT_CODES, FOUND, asking, collector_options, times
from cloud.cli.log_showing import has_colour, writing

UNEXPLAINED = 4
"""It failed, and no known cause fits, or more than one."""
_NOW = "now"


@click.command(epilog=f"{EXIT_CODES} 4 it failed, and\nthe cause is unknown or one of several.")
@click.argument("subject")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="Text for a terminal, JSON for programs, markdown for a ticket.",
)
@click.option("--since", metavar="TIME", help="Only lines from then on: 2h, 2027-01-31, 2027-01-31T14:05. Else all.")
@click.option("--until", metavar="TIME", help="Only lines before that.")
@collector_options
def explain(
    *, subject: str, format_: str, since: str | None, until: str | None, url: str, key_file: Path | None
) -> None:
    """Say why SUBJECT failed: its steps, the first error, the cause if it is known, and where the instance is now.

    SUBJECT is a migration's id, a request id, or an instance: its uuid or the beginning of that, i-000015b9,
    instance-000015b9, its id, or its name.
    """
    from cloud.logs.query.explain.output import as_markdown, as_text

    range_ = times(since or _NOW, until, utc=False)
    if since is None:
        del range_["since"]
    with asking(url, key_file) as client:
        found = client.ask("/explain", {"subject": subject, **range_})
    with writing():
        if format_ == "json":
            click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        elif format_ == "markdown":
            click.echo(as_markdown(found), nl=False)
        else:
            width = shutil.get_terminal_size((100, 24)).columns
            click.echo(as_text(found, width=width, colour=has_colour()), nl=False, color=True)
    sys.exit(UNEXPLAINED if found["verdict"] in ("unknown", "unclear") else FOUND)
