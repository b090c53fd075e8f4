"""A host's files -> which of them let nova-compute's host into the database, where it has no business."""

import re
from collections.abc import Iterator
from pathlib import Path

from cloud.logs.generator.finding import Finding
from cloud.logs.generator.render import DATABASE_SERVICES
from cloud.logs.generator.tree import HostTree, services_of

_SECTION = re.compile(r"\[([^\]]*)\]")
_CONNECTION = re.compile(r"connection\s*[=:]")


def check_database(tree: HostTree) -> Iterator[Finding]:
    """A finding for each file with a `[database] connection` on a host that has nova-compute.

    A warning for that of a service which may open it, as on a host that is the whole cloud; otherwise an error.
    """
    for nova_conf in tree.nova_confs:
        if "nova-compute" not in services_of(nova_conf):
            continue
        for path in sorted(nova_conf.parent.glob("*.conf")):
            if _names_database(path):
                message = "[database] connection on a host with nova-compute, which asks nova-conductor instead"
                text = f"{message}; remove it, or whoever takes the host over has it"
                yield Finding(tree.host, path, "warning" if path.stem in DATABASE_SERVICES else "error", text)


def _names_database(path: Path) -> bool:
    """Line by line: what no parser would take as a whole can be read by an intruder all the same."""
    section = ""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # the check of the services' options says so
        return False
    for line in lines:
        if match := _SECTION.match(line):
            section = match[1].strip().lower()  # oslo.config knows no case there
        elif section == "database" and _CONNECTION.match(line):
            return True
    return False
