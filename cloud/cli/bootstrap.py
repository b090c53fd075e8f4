"""`cloud bootstrap`: what a new cloud begins with."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloud.cli.bus import config_file_option

if TYPE_CHECKING:
    from cloud.services.identity.bootstrap import Outcome, Site, Step, Wish

MIN_PASSWORD_LENGTH = 8
_MAX_PASSWORD_LENGTH = 1000


@click.command()
@config_file_option
@click.option(
    "--openrc",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("openrc"),
    show_default=True,
    help="The file to sign in with as admin.",
)
@click.option(
    "--service-openrc",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also create the user nova, as whom services sign in, and this file for it.",
)
@click.option(
    "--password-file",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="A file whose line is admin's password; - for standard input.",
)
@click.option("--prompt", is_flag=True, help="Ask for admin's password.")
@click.option("--reset-password", is_flag=True, help="Give admin another password, and write the file anew.")
@click.option("--reset-service-password", is_flag=True, help="The same for the user nova.")
@click.option("--image", "adds_image", is_flag=True, help="Upload a first image; identity and image have to be up.")
@click.option("--print-password", is_flag=True, help="Print admin's password too, if it is a new one.")
def bootstrap(
    *,
    files: tuple[Path, ...],
    openrc: Path,
    service_openrc: Path | None,
    password_file: Path | None,
    prompt: bool,
    reset_password: bool,
    reset_service_password: bool,
    adds_image: bool,
    print_password: bool,
) -> None:
    """Create the first users of a cloud, and a file to sign in with.

    The roles admin and member, the project admin and the user admin, whose password is made up unless one is given; the
    flavors m1.tiny to m1.xlarge; with --image, once the services run, an image that boots, says hello and halts.
    What is there already is left as it is, so a second run changes nothing. The configuration names the database.
    """
    from cloud.services.identity.bootstrap import Wish

    if prompt and password_file is not None:
        raise click.UsageError("it is either --prompt or --password-file")
    if reset_service_password and service_openrc is None:
        raise click.UsageError("--reset-service-password goes with --service-openrc")
    admin = Wish(openrc, _password(password_file, is_asked=prompt), reset_password)
    service = Wish(service_openrc, None, reset_service_password)
    _run(files, admin, service, adds_image=adds_image, prints_password=print_password)


def steps(site: "Site", *, adds_image: bool = False) -> "Sequence[Step]":
    """What is done, in this order; what else a new cloud should begin with is another step."""
    from cloud.services.identity.bootstrap import ADMIN_STEPS, SERVICE_STEPS, Step

    service_steps = SERVICE_STEPS if site.service.openrc else ()
    image_steps = (Step("image hello", _image),) if adds_image else ()
    return (*ADMIN_STEPS, Step("flavors", _flavors), *service_steps, *image_steps)


def _flavors(site: "Site") -> "Outcome":
    from datetime import UTC, datetime

    from cloud.db.flavors import FlavorTable
    from cloud.services.identity.bootstrap import Outcome

    entered = FlavorTable(site.database, lambda: datetime.now(UTC)).seed()
    return Outcome.CREATED if entered else Outcome.UNCHANGED


def _image(site: "Site") -> "Outcome":
    from cloud.services.identity.bootstrap import BootstrapError, Outcome
    from cloud.services.identity.openrc import read_openrc
    from cloud.services.image.first_image import add_first_image
    from cloud.services.image.sign_in import image_client

    if site.admin.openrc is None or not site.conf.identity.image_url:
        raise BootstrapError("cannot add an image: it takes admin's openrc, and option [identity] image_url")
    try:
        with image_client(read_openrc(site.admin.openrc), site.conf.identity.image_url) as client:
            return Outcome.CREATED if add_first_image(client) else Outcome.UNCHANGED
    except KeyError as exc:
        raise BootstrapError(f"cannot add an image: {site.admin.openrc} does not set {exc.args[0]}") from exc


def _run(files: tuple[Path, ...], admin: "Wish", service: "Wish", *, adds_image: bool, prints_password: bool) -> None:
    from cloud.db import schema
    from cloud.db.options import DATABASE_OPTIONS, configured_database
    from cloud.db.url import DatabaseUrlError
    from cloud.errors import CloudError
    from cloud.services.configuration import ConfigurationError, read_configuration
    from cloud.services.identity.bootstrap import BootstrapError, Outcome, Site
    from cloud.services.identity.openrc import OpenrcError
    from cloud.services.identity.options import IDENTITY_OPTIONS

    try:
        conf = read_configuration(files, groups={"database": DATABASE_OPTIONS, "identity": IDENTITY_OPTIONS})
        with configured_database(conf) as database:
            schema.check(database)
            site = Site(conf, database, admin, service)
            outcomes = set()
            for step in steps(site, adds_image=adds_image):
                outcome = step.run(site)
                outcomes.add(outcome)
                click.echo(f"{step.name}: {outcome.value}")
    except (BootstrapError, CloudError, ConfigurationError, DatabaseUrlError, OpenrcError) as exc:
        raise click.ClickException(str(exc)) from exc
    for note in site.notes:
        click.echo(f"cloud bootstrap: {note}", err=True)
    if outcomes == {Outcome.UNCHANGED}:
        click.echo("nothing was changed")
    if site.new_admin_password is not None:
        click.echo(f"to sign in: . {shlex.quote(str(admin.openrc))}")
        if prints_password:
            click.echo(f"password of admin: {site.new_admin_password}")


def _password(file: Path | None, *, is_asked: bool) -> str | None:
    """What was given in a file or at the prompt; None when nothing was."""
    if is_asked:
        text = str(click.prompt("Password of admin", hide_input=True, confirmation_prompt=True))
    elif file is not None:
        try:
            with click.open_file(str(file)) as opened:
                text = opened.read(_MAX_PASSWORD_LENGTH + 2).removesuffix("\n")
        except (OSError, UnicodeDecodeError) as exc:
            cause = exc.strerror if isinstance(exc, OSError) else "it is not text"  # whose own words would quote it
            raise click.ClickException(f"cannot read {file}: {cause}") from None
    else:
        return None
    if not (MIN_PASSWORD_LENGTH <= len(text) <= _MAX_PASSWORD_LENGTH and text.isprintable()):
        raise click.ClickException(
            f"a password is one line of {MIN_PASSWORD_LENGTH} to {_MAX_PASSWORD_LENGTH} printable characters"
        )
    return text
