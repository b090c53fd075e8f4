"""The accounts of the machine's cloud: made once, kept in files of its directory, at today's addresses."""

import os
import shlex
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from cloud.db.engine import Database
from cloud.db.flavors import FlavorTable
from cloud.services.configuration import read_configuration
from cloud.services.identity.bootstrap import ADMIN_STEPS, SERVICE_PROJECT, SERVICE_STEPS, SERVICE_USER, Site, Wish
from cloud.services.identity.openrc import read_openrc
from cloud.services.identity.options import IDENTITY_OPTIONS
from cloud.services.image.first_image import add_first_image
from cloud.services.image.sign_in import image_client

OPENRC, SERVICE_OPENRC = "openrc", "service-openrc"


def make_accounts(
    database: Database, config_files: list[Path], directory: Path, tell: Callable[[str], None]
) -> dict[str, str]:
    """Make the first users and flavors where they are not there, and files in `directory` to sign in with.

    What nova-compute signs in with, as its options. `tell` gets what there is to say, as that the database has an admin
    whose password nobody here knows.
    """
    openrc, service_openrc = directory / OPENRC, directory / SERVICE_OPENRC
    conf = read_configuration(config_files, groups={"identity": IDENTITY_OPTIONS})
    # Nobody but this machine signs in as its services, so that a lost file is no reason to stay without them.
    service = Wish(service_openrc, resets_password=not service_openrc.exists())
    site = Site(conf, database, Wish(openrc), service)
    for step in (*ADMIN_STEPS, *SERVICE_STEPS):
        step.run(site)
    FlavorTable(database, lambda: datetime.now(UTC)).seed()
    for note in site.notes:
        tell(note)
    for file in (openrc, service_openrc):
        if file.exists():
            _point_to(site.public_url, file)
    return {"user": SERVICE_USER, "password": read_openrc(service_openrc)["OS_PASSWORD"], "project": SERVICE_PROJECT}


def add_image(directory: Path, image_url: str) -> None:
    """Give the cloud its first image; CloudError when one of the two services does not answer."""
    with image_client(read_openrc(directory / OPENRC), image_url) as client:
        add_first_image(client)


def _point_to(identity_url: str, path: Path) -> None:
    """Write the file anew with the URL of today: ports may be others than last time."""
    values: Mapping[str, str] = read_openrc(path) | {"OS_AUTH_URL": f"{identity_url}/v2.0"}
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(name).replace(path)
