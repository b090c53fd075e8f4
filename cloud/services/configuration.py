"""nova.conf as every service reads it: the options that all of them share, and where a service's own are added."""

import re
import socket
from collections.abc import Sequence
from pathlib import Path

from oslo_config import cfg

from cloud.logs.emit.settings import OPTIONS as LOG_OPTIONS

SERVICE_OPTIONS: Sequence[cfg.Opt] = (
    cfg.HostAddressOpt("host", help="The name of this host in the cloud; the machine's own by default."),
    cfg.IntOpt("report_interval", default=10, min=1, max=3600, help="Seconds between two reports of a service."),
    cfg.StrOpt("state_path", default="/var/lib/nova", help="Where instances and other state are kept."),
)


class ConfigurationError(Exception):
    """Configuration that cannot be used; the message names the file and the option."""


# oslo.config's words for a value that does not fit; the place is a file, or a variable of the environment.
_BAD_VALUE = re.compile(r"Value for option .*? detail='(?P<place>.*?)'\) is not valid: (?P<cause>.*)")


def read_configuration(files: Sequence[Path], *, host: str | None = None) -> cfg.ConfigOpts:
    """The options of `files`, later ones over earlier ones, `host` over both. Every value has been checked."""
    conf = cfg.ConfigOpts()
    conf.register_opts([*LOG_OPTIONS, *SERVICE_OPTIONS])
    try:
        conf(args=[], project="nova", default_config_files=[str(file) for file in files], default_config_dirs=[])
    except (cfg.Error, OSError, ValueError) as exc:
        raise ConfigurationError(f"cannot read configuration {_listed(files)}: {_one_line(exc)}") from exc
    for name in conf:
        try:
            conf[name]  # oslo.config checks a value when it is read; here an error can still stop the start
        except (cfg.Error, ValueError) as exc:
            raise ConfigurationError(_bad_option(name, exc, files)) from exc
    _name_host(conf, host)
    return conf


def _name_host(conf: cfg.ConfigOpts, host: str | None) -> None:
    try:
        if host is not None:
            conf.set_override("host", host)
        elif conf.host is None:
            conf.set_default("host", socket.gethostname())
    except ValueError as exc:
        source = "--host" if host is not None else "this machine's own name (no configuration says host)"
        raise ConfigurationError(f"cannot use {source}: {_one_line(exc)}") from exc


def _bad_option(name: str, exc: Exception, files: Sequence[Path]) -> str:
    # oslo.config names the last file of all, whichever has the value; the environment goes over every file.
    place = next((str(file) for file in reversed(files) if _says(file, name)), _listed(files))
    cause = _one_line(exc)
    if match := _BAD_VALUE.fullmatch(cause):
        place = place if match["place"] in map(str, files) else match["place"]
        cause = match["cause"]
    elif isinstance(exc, cfg.NoSuchOptError) and exc.__context__ is not None:  # what a `$name` in the value ran into
        cause = _one_line(exc.__context__)
    return f"cannot use option {name} of {place}: {cause}"


def _says(file: Path, name: str) -> bool:
    sections: dict[str, dict[str, list[str]]] = {}
    cfg.ConfigParser(str(file), sections).parse()
    return name in sections.get("DEFAULT", {})


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files))


def _one_line(exc: BaseException) -> str:
    return " ".join(str(exc).split())
