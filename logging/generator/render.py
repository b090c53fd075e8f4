"""A host of an inventory -> its files, and files -> a directory."""

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import jinja2

from cloud.logs.emit.redact import redact_text
from cloud.logs.events import FAMILIES, HOST_MARK, SINGLE_EVENTS
from cloud.logs.generator.inventory import Host, Inventory

REPORT_INTERVAL_S = 10  # nova's own default, written down because the age of a service's report decides up or down
SERVICE_DOWN_TIME_S = 60  # nova's own default too, and for the same reason: the age from which a service is down
DATABASE_SERVICES = ("nova-api", "nova-conductor", "nova-scheduler", "identity")
"""Those that may open the database; nova-compute asks nova-conductor: whoever takes its host over has no way in."""
COLLECTOR_UNIT = "cloud-log-collector.service"
COLLECTOR_USER = "cloud-log"

_TEMPLATES = Path(__file__).parent.parent / "templates"
_MODE, _SECRET_MODE = 0o644, 0o640
_LIBVIRTD_HEADER = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}[+]0000: "
    "([0-9]{1,20}): (error|warning|info|debug) : "
)


class OutsideTreeError(ValueError):
    """A file that would not land in the directory it is written to; nothing was written for it."""


def render_host(inventory: Inventory, host: str) -> dict[str, str]:
    """The files of `host` by their path relative to its root; InventoryError when there is no such host."""
    return dict(_render(inventory.host(host)))


def _render(host: Host) -> Iterator[tuple[str, str]]:
    templates = _templates()
    paths = host.paths

    def file(path: PurePosixPath, template: str, **values: object) -> tuple[str, str]:
        return paths.in_tree(path), templates.get_template(template).render(host=host, **values)

    options = {
        "report_interval": str(REPORT_INTERVAL_S),
        "service_down_time": str(SERVICE_DOWN_TIME_S),
        **host.nova_options,
    }
    yield file(paths.etc / "nova.conf", "nova.conf.j2", options=options)
    for service in host.services:
        yield file(
            paths.etc / f"{service.name}.conf",
            "service.conf.j2",
            service=service,
            database_services=DATABASE_SERVICES,
        )
        yield file(paths.etc / f"{service.name}-logging.conf", "service-logging.conf.j2", service=service)
    if host.syslog == "rsyslog":
        yield file(
            paths.rsyslog_d / "60-nova.conf",
            "60-nova.conf.j2",
            event_pattern=event_pattern(),
            libvirtd_header=_LIBVIRTD_HEADER,
            mark="@cee: " + json.dumps({"message": "mark", "event": HOST_MARK}),
        )
        yield file(paths.logrotate_d / "nova", "logrotate.j2")
    if host.base_rsyslog:
        yield file(paths.rsyslog_conf, "rsyslog.conf.j2")
    if host.is_collector:
        server = host.collector.server
        yield file(paths.etc / "collector.toml", "collector.toml.j2", server=server)
        yield file(paths.systemd / COLLECTOR_UNIT, "cloud-log-collector.service.j2", server=server, user=COLLECTOR_USER)
        yield file(paths.sysusers_d / f"{COLLECTOR_USER}.conf", "sysusers.conf.j2", user=COLLECTOR_USER)


def write_tree(files: Mapping[str, str], directory: Path) -> list[Path]:
    """Write `files` below `directory` and return where they are, in order.

    nova.conf and what holds a secret are 0640, all others 0644. Each file is replaced as a whole, so that a reader sees
    the old text or the new one. A failure leaves those written so far: OSError, or OutsideTreeError for a path that
    leads out, be it by a symbolic link.
    """
    return [_write(directory, name, text) for name, text in files.items()]


def _write(directory: Path, name: str, text: str) -> Path:
    relative = PurePosixPath(name)
    target = directory / relative
    outside = relative.is_absolute() or ".." in relative.parts or not relative.name
    # Asked before the folders are made: they too belong into the directory.
    if outside or not target.parent.resolve().is_relative_to(directory.resolve()):
        raise OutsideTreeError(f"cannot write {name}: it leads out of {directory}")
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), _mode(target.name, text))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


def _mode(name: str, text: str) -> int:
    """By what logs would redact; nova.conf always, for an operator's options may be secrets that nobody can tell."""
    return _SECRET_MODE if name == "nova.conf" or redact_text(text) != text else _MODE


def event_pattern() -> str:
    """A POSIX extended regular expression that finds every event of the vocabulary."""
    singles = "|".join(event.replace(".", "[.]") for event in SINGLE_EVENTS)
    return f"^(({'|'.join(FAMILIES)})[.]|({singles})$)"


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(  # noqa: S701 - these are configuration files, not HTML
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        literal=_literal, oslo_literal=_oslo_literal, rsyslog_string=_rsyslog_string, toml_string=json.dumps
    )
    return environment


def _literal(text: str) -> str:
    """A Python literal that ConfigParser hands on as it is."""
    return repr(text).replace("%", "%%")


def _oslo_literal(text: str) -> str:
    """A value that oslo.config hands on as it is: without it $name would be another option's."""
    return text.replace("$", "$$")


def _rsyslog_string(text: str) -> str:
    """In quotes; rsyslog refuses a bare dollar sign there."""
    return '"' + re.sub(r'([\\"$])', r"\\\1", text) + '"'
