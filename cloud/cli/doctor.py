"""`cloud doctor`: what database, hypervisors and claims say differently, and what mends it."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloud.cli.bus import bus_client, config_file_option, printable
from cloud.cli.duration import DURATION
from cloud.errors import CloudError

if TYPE_CHECKING:  # SQLAlchemy takes as long to import as all the rest of `cloud`
    from oslo_config import cfg

    from cloud.db.engine import Database
    from cloud.doctor.configured import Patience
    from cloud.doctor.doctor import Diagnosis, Doctor
    from cloud.doctor.finding import Finding

NOTHING_FOUND, FOUND, COULD_NOT_LOOK = 0, 1, 2
_WISH_FOR = {"running guest": "--destroy-duplicates", "copy": "--destroy-copies"}
"""By member of Destroys, whose module imports SQLAlchemy."""


class _CannotLook(click.ClickException):
    """Told in one line."""

    exit_code = COULD_NOT_LOOK


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be done about findings."""

    mends: bool
    asks: bool
    destroys: frozenset[str]
    """Of what a remedy destroys that has to be wished for in particular: members of Destroys."""


@click.command()
@click.option("--mend", "mends", is_flag=True, help="Mend what can be mended, each after a question.")
@click.option("--yes", is_flag=True, help="With --mend: ask nothing.")
@click.option(
    "--destroy-duplicates",
    is_flag=True,
    help="With --mend: also guests that run, where their instance runs on the host that the database says, is deleted, "
    "or never was.",
)
@click.option(
    "--destroy-copies",
    is_flag=True,
    help="With --mend: also disks that are set aside, of instances that were made anew without them, and nobody's.",
)
@click.option(
    "--older-than",
    type=DURATION,
    default="30m",
    show_default=True,
    help="What nobody has gone on with for so long is left behind.",
)
@click.option(
    "--host-timeout", type=DURATION, default="10s", show_default=True, help="For each host to say what it has."
)
@click.option(
    "--settle",
    type=DURATION,
    default="1s",
    show_default=True,
    help="What is found is looked at once more after so long: what was only on its way is no finding.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@config_file_option
def doctor(
    mends: bool,
    yes: bool,
    destroy_duplicates: bool,
    destroy_copies: bool,
    older_than: float,
    host_timeout: float,
    settle: float,
    as_json: bool,
    files: tuple[Path, ...],
) -> None:
    """List what is inconsistent, and mend it if asked to.

    Exit 0: nothing is; 1: something is, or was before it was mended; 2: it could not be looked at, or not at every
    host that is up. Of hosts that do not answer nothing is concluded. It reads what nova-conductor reads: the database
    is named in nova-conductor.conf, unless nova.conf does.
    """
    from cloud.doctor.configured import Patience

    if (yes or destroy_duplicates or destroy_copies) and not mends:
        raise click.UsageError("--yes, --destroy-duplicates and --destroy-copies go with --mend")
    if as_json and mends and not yes:
        raise click.UsageError("with --json nothing can be asked: --mend takes --yes there")
    wished = {"running guest": destroy_duplicates, "copy": destroy_copies}
    wishes = Wishes(mends, asks=not yes, destroys=frozenset(what for what, is_wished in wished.items() if is_wished))
    patience = Patience(timedelta(seconds=older_than), host_timeout, settle)
    with _doctor(files, patience) as found:
        diagnosis = found.look()
        if as_json:
            outcomes = [_mended(found, finding, wishes) for finding in diagnosis.findings]
            click.echo(json.dumps(_document(diagnosis, outcomes), indent=2))
        else:
            _tell(found, diagnosis, wishes)
    sys.exit(FOUND if diagnosis.findings else COULD_NOT_LOOK if diagnosis.is_partial else NOTHING_FOUND)


def _tell(doctor: "Doctor", diagnosis: "Diagnosis", wishes: Wishes) -> None:
    for host, why in sorted(diagnosis.silent.items()):
        click.echo(printable(f"nothing is known of {host}: {why}"), err=True)
    mended = 0
    for finding in diagnosis.findings:
        since = "" if finding.since is None else f"  since {finding.since.strftime('%Y-%m-%dT%H:%M:%SZ')}"
        host = "" if finding.host is None else f"  host {finding.host}"
        click.echo(printable(f"{finding.kind}  instance {finding.instance}{host}{since}"))
        click.echo(printable(f"    {finding.what}"))
        click.echo(printable(f"    mending: {finding.mending}"))
        outcome = _mended(doctor, finding, wishes)
        if outcome is not None:
            mended += outcome == MENDED
            click.echo(printable(f"    {outcome}"))
    counts = ", ".join(f"{number} {what}" for what, number in diagnosis.counts.items())
    found = f"{len(diagnosis.findings)} found" if diagnosis.findings else "nothing found"
    click.echo(f"{found}{f', {mended} mended' if wishes.mends else ''}; looked at {counts}")


MENDED = "mended"


def _mended(doctor: "Doctor", finding: "Finding", wishes: Wishes) -> str | None:
    """What came of it; None where it was not to be mended or cannot be."""
    if not wishes.mends or finding.remedy is None:
        return None
    destroys = finding.remedy.destroys
    if destroys is not None and destroys not in wishes.destroys:
        return f"not mended: it needs {_WISH_FOR[destroys]}"
    if wishes.asks and not click.confirm("    mend it?"):
        return "not mended"
    try:
        doctor.mend(finding)
    except CloudError as exc:
        return f"not mended: {exc}"
    return MENDED


def _document(diagnosis: "Diagnosis", outcomes: list[str | None]) -> Mapping[str, Any]:
    return {
        "findings": [
            {**finding.as_dict(), "outcome": outcome}
            for finding, outcome in zip(diagnosis.findings, outcomes, strict=True)
        ],
        "silent_hosts": dict(sorted(diagnosis.silent.items())),
        "is_partial": diagnosis.is_partial,
        "looked_at": dict(diagnosis.counts),
    }


@contextmanager
def _doctor(files: tuple[Path, ...], patience: "Patience") -> Iterator["Doctor"]:
    """What goes wrong is one line, and exit 2."""
    from cloud.doctor.configured import configured_doctor

    try:
        with _configured(files) as (conf, database), bus_client(files) as (client, _):
            yield configured_doctor(conf, database, client, lambda: datetime.now(UTC), patience)
    except click.ClickException as exc:
        raise _CannotLook(exc.message) from exc


@contextmanager
def _configured(files: tuple[Path, ...]) -> Iterator[tuple["cfg.ConfigOpts", "Database"]]:
    from cloud.db.options import DATABASE_OPTIONS, configured_database
    from cloud.db.schema import SchemaError, check
    from cloud.db.url import DatabaseUrlError
    from cloud.errors import DatabaseUnavailableError
    from cloud.services.conductor.options import CONDUCTOR_OPTIONS
    from cloud.services.configuration import ConfigurationError, read_configuration

    try:
        conf = read_configuration(files, groups={"DEFAULT": CONDUCTOR_OPTIONS, "database": DATABASE_OPTIONS})
        with configured_database(conf) as database:
            check(database)
            yield conf, database
    except (ConfigurationError, DatabaseUrlError, DatabaseUnavailableError, SchemaError) as exc:
        raise click.ClickException(str(exc)) from exc
