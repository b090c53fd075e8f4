"""A whole cloud for the clients: a controller and three compute hosts, with users, flavors, and a disk to upload."""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import delete

from cloud.db.engine import open_database
from cloud.db.models import MigrationRow
from cloud.services.identity.openrc import read_openrc
from cloud.services.image.first_image import first_image
from cloud.up.accounts import OPENRC
from cloud.up.layout import Layout
from cloud.up.machine import Machine, Settings
from tests.clients.asides import Asides
from tests.clients.program import Program
from tests.clients.transcript import Mask, Shell
from tests.clients.venv import scripts_of

SETTINGS = Settings(
    Layout(3),
    host_size={"vcpus": 8, "memory_mb": 16384, "disk_gb": 100},
    nova_options={
        "report_interval": 2,
        "service_down_time": 6,
        "live_migration_flag": "VIR_MIGRATE_UNDEFINE_SOURCE,VIR_MIGRATE_PEER2PEER,VIR_MIGRATE_LIVE",
    },
    shared_disks=("compute-01", "compute-02"),
)
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGv3mNcu1sXcqMPfVEeqdL2hFCjRbyvKGdWQ8vHjGLrK operator@example\n"
PLACE = "/tmp"  # noqa: S108 - a directory of our own is made there; how wide clients print what it is in is in the sessions
INTERPRETER = {"PATH": "/usr/bin:/bin", "PYTHONWARNINGS": "ignore"}
CLOUD = Path(sys.executable).with_name("cloud")
SQL = Path(__file__).with_name("sql.py")


@dataclass(frozen=True, slots=True)
class Site:
    """A running cloud, and the programs that are there."""

    machine: Machine
    admin: httpx.Client
    """Signed in at nova-api."""
    programs: Mapping[str, Mapping[str, Program]]
    """By client, then by name."""

    def shell(self, client: str, directory: Path) -> Shell:
        """A shell of the cloud's admin, where `hello.raw` and `key.pub` lie; nobody has migrated anything so far."""
        database = self.machine.directory / "nova.sqlite"
        _forget_migrations(database)
        (directory / "hello.raw").write_bytes(first_image())
        (directory / "key.pub").write_text(PUBLIC_KEY)
        conf = self.machine.nova_conf()
        environment = {
            **INTERPRETER,
            **read_openrc(self.machine.directory / OPENRC),
            "HOME": str(directory),
            "COLUMNS": "200",
            "CLOUD_CONFIG_FILE": f"{conf}:{conf.with_name('nova-conductor.conf')}",
            "CLOUD_LOG_URL": self.machine.http_url,
            "DATABASE": str(database),
        }
        return Shell(self.programs[client], environment, directory, Asides(self.machine, self.admin))

    def mask(self) -> Mask:
        machine = self.machine
        urls = {"compute": machine.compute_url, "identity": machine.identity_url, "image": machine.image_url}
        shown = {url: f"http://{name}" for name, url in urls.items()}
        return Mask({**shown, str(machine.directory): f"{PLACE}/t-........"})


@contextmanager
def running_site(clients: Sequence[str]) -> Iterator[Site]:
    """Compute hosts of 8 processors, 16 GiB and 100 GiB each; two of them share their disks, the third has its own."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="t-", dir=PLACE))
        ours = {
            "cloud": stack.enter_context(_program(Path(sys.executable), CLOUD)),
            "sql": stack.enter_context(_program(Path(sys.executable), SQL)),
        }
        programs = {}
        for client in clients:
            scripts = scripts_of(client)
            theirs = {each.name: stack.enter_context(_program(each.with_name("python"), each)) for each in scripts}
            programs[client] = {**ours, **theirs}
        machine = stack.enter_context(Machine(Path(directory), SETTINGS))
        machine.start()
        machine.wait_until_services_are_up()
        yield Site(machine, stack.enter_context(_signed_in(machine)), programs)


def _program(python: Path, script: Path) -> Program:
    return Program(python, script, INTERPRETER)


@contextmanager
def _signed_in(machine: Machine) -> Iterator[httpx.Client]:
    openrc = read_openrc(machine.directory / OPENRC)
    credentials = {"username": openrc["OS_USERNAME"], "password": openrc["OS_PASSWORD"]}
    body = {"auth": {"passwordCredentials": credentials, "tenantName": openrc["OS_TENANT_NAME"]}}
    with httpx.Client(trust_env=False, timeout=30) as client:
        access = client.post(f"{openrc['OS_AUTH_URL']}/tokens", json=body).raise_for_status().json()["access"]
        client.base_url = httpx.URL(f"{machine.compute_url}/v2/{access['token']['tenant']['id']}")
        client.headers["X-Auth-Token"] = access["token"]["id"]
        yield client


def _forget_migrations(file: Path) -> None:
    """Clients list those of all servers, also of servers that other sessions have deleted."""
    with open_database(f"sqlite:///{file}") as database, database.transaction() as transaction:
        transaction.execute(delete(MigrationRow))
