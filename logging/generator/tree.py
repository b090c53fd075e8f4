"""A directory -> the configuration files of the hosts in it."""

import configparser
from dataclasses import dataclass
from pathlib import Path

from cloud.logs.facilities import FACILITIES

FRAGMENT = "60-nova.conf"


class TreeError(Exception):
    """A directory with nothing in it to check."""


@dataclass(frozen=True, slots=True)
class HostTree:
    """The files of one host, wherever below its `etc` they are."""

    host: str
    directory: Path
    nova_confs: tuple[Path, ...]
    logging_confs: tuple[Path, ...]
    rsyslog_d: Path | None
    """Where 60-nova.conf is; None for a host without rsyslog."""

    @property
    def base_rsyslog_conf(self) -> Path | None:
        """The tree's own rsyslog.conf; None when it relies on the machine's."""
        path = self.rsyslog_d.parent / "rsyslog.conf" if self.rsyslog_d else None
        return path if path and path.is_file() else None


def host_trees(directory: Path) -> tuple[HostTree, ...]:
    """The hosts in `directory` by name, or the one whose tree it is itself; TreeError when nova has no files there."""
    if (directory / "etc").is_dir():
        candidates = [directory]
    else:
        candidates = sorted(path for path in directory.iterdir() if path.is_dir())
    found = map(_host_tree, candidates)
    trees = tuple(tree for tree in found if tree.nova_confs or tree.logging_confs or tree.rsyslog_d)
    if not trees:
        raise TreeError(f"cannot check {directory}: no nova.conf, logging.conf or {FRAGMENT} in it")
    return trees


def service_conf(nova_conf: Path, service: str) -> Path:
    """What `service` reads after `nova_conf`."""
    return nova_conf.with_name(f"{service}.conf")


def _host_tree(directory: Path) -> HostTree:
    etc = directory / "etc"
    files = sorted((etc if etc.is_dir() else directory).rglob("*.conf"))  # run and var may hold much else
    nova_confs = tuple(path for path in files if path.name == "nova.conf")
    beside = {path.parent for path in nova_confs}
    return HostTree(
        host=_host_name(nova_confs) or directory.resolve().name,
        directory=directory,
        nova_confs=nova_confs,
        logging_confs=tuple(path for path in files if _is_logging_conf(path) and (path.parent in beside or not beside)),
        rsyslog_d=next((path.parent for path in files if path.name == FRAGMENT), None),
    )


def _is_logging_conf(path: Path) -> bool:
    return path.name == "logging.conf" or path.name.endswith("-logging.conf")


def _host_name(nova_confs: tuple[Path, ...]) -> str | None:
    for path in nova_confs:
        try:
            name = default_options(path).get("host")
        except (OSError, ValueError, configparser.Error):  # the check of this very file reports it
            continue
        if name:
            return name
    return None


def default_options(path: Path) -> dict[str, str]:
    """The `[DEFAULT]` of a nova.conf, the last of equal keys; OSError, ValueError (not UTF-8) or configparser.Error."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    return dict(parser.defaults())


def services_of(nova_conf: Path) -> tuple[str, ...]:
    """The services that have a file of their own beside `nova_conf`; empty for the guide's single nova.conf."""
    return tuple(service for service in FACILITIES if service_conf(nova_conf, service).is_file())
