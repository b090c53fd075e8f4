"""nova.conf as every service reads it: the options that all of them share, and where a service's own are added."""

import math
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from oslo_config import cfg, types

from cloud.domain.service import ServiceReport
from cloud.logs.emit.settings import OPTIONS as LOG_OPTIONS
from cloud.rpc.options import BUS_OPTIONS


class _Zone(types.String):
    """What a report may say."""

    def __call__(self, value: Any) -> Any:
        ServiceReport("any", "any", "any", value)
        return value


SERVICE_OPTIONS: Sequence[cfg.Opt] = (
    cfg.HostAddressOpt("host", help="The name of this host in the cloud; the machine's own by default."),
    cfg.IntOpt("report_interval", default=10, min=1, max=3600, help="Seconds between two reports of a service."),
    cfg.IntOpt(
        "service_down_time", default=60, min=1, max=86400, help="Seconds without a report after which one is down."
    ),
    cfg.FloatOpt(
        "graceful_shutdown_timeout",
        default=60,
        min=0,
        max=3600,
        help="Seconds that running requests have at a stop; 0: none.",
    ),
    cfg.IntOpt(
        "update_resources_interval", default=60, min=1, max=86400, help="Seconds between two audits of a compute host."
    ),
    cfg.StrOpt("state_path", default="/var/lib/nova", help="Where instances and other state are kept."),
    cfg.Opt("default_availability_zone", type=_Zone(), default="nova", help="The zone of nova-compute."),
    cfg.Opt(
        "internal_service_availability_zone", type=_Zone(), default="internal", help="The zone of all other services."
    ),
)


class ConfigurationError(Exception):
    """Configuration that cannot be used; the message names the file and the option."""


# oslo.config's words for a value that does not fit; the place is a file, or a variable of the environment.
_BAD_VALUE = re.compile(r"Value for option .*? detail='(?P<place>.*?)'\) is not valid: (?P<cause>.*)")


def read_configuration(
    files: Sequence[Path], *, host: str | None = None, groups: Mapping[str, Sequence[cfg.Opt]] = MappingProxyType({})
) -> cfg.ConfigOpts:
    """The options of `files`, later ones over earlier ones, `host` over both. Every value has been checked.

    Beside those that all services share, `groups` are read: options by the name of their section.
    """
    conf = cfg.ConfigOpts()
    options = [_Option("DEFAULT", opt) for opt in (*LOG_OPTIONS, *SERVICE_OPTIONS, *BUS_OPTIONS)]
    options += [_Option(group, opt) for group, opts in groups.items() for opt in opts]
    for option in options:
        conf.register_opt(option.opt, group=None if option.group == "DEFAULT" else option.group)
    try:
        conf(args=[], project="nova", default_config_files=[str(file) for file in files], default_config_dirs=[])
    except cfg.ConfigFileParseError as exc:
        # Not chained: oslo.config quotes the line, and any line may hold a secret.
        raise ConfigurationError(f"cannot read configuration {_listed(files)}: {_without_line(exc)}") from None
    except (cfg.Error, OSError, ValueError) as exc:
        raise ConfigurationError(f"cannot read configuration {_listed(files)}: {_one_line(exc)}") from exc
    for option in options:
        try:
            option.read(conf)  # oslo.config checks a value when it is read; here an error still stops
        except (cfg.Error, ValueError) as exc:
            raise ConfigurationError(_bad_option(option, exc, files)) from (None if option.opt.secret else exc)
    _name_host(conf, host)
    return conf


@dataclass(frozen=True, slots=True)
class _Option:
    group: str
    opt: cfg.Opt

    def read(self, conf: cfg.ConfigOpts) -> None:
        value = conf[self.opt.dest] if self.group == "DEFAULT" else conf[self.group][self.opt.dest]
        if isinstance(value, float) and not math.isfinite(value):  # which passes every minimum and maximum
            raise ValueError(f"{value} is not a number to count with")

    def __str__(self) -> str:
        return self.opt.dest if self.group == "DEFAULT" else f"[{self.group}] {self.opt.dest}"


def _name_host(conf: cfg.ConfigOpts, host: str | None) -> None:
    try:
        if host is not None:
            conf.set_override("host", host)
        elif conf.host is None:
            conf.set_default("host", socket.gethostname())
    except ValueError as exc:
        source = "--host" if host is not None else "this machine's own name (no configuration says host)"
        raise ConfigurationError(f"cannot use {source}: {_one_line(exc)}") from exc


def _bad_option(option: _Option, exc: Exception, files: Sequence[Path]) -> str:
    # oslo.config names the last file of all, whichever has the value; the environment goes over every file.
    place = next((str(file) for file in reversed(files) if _says(file, option)), _listed(files))
    cause = _one_line(exc)
    is_reference = isinstance(exc, cfg.NoSuchOptError)
    if match := _BAD_VALUE.fullmatch(cause):
        place = place if match["place"] in map(str, files) else match["place"]
        cause = match["cause"]
    elif is_reference and exc.__context__ is not None:  # what a `$name` in the value ran into
        cause = _one_line(exc.__context__)
    if option.opt.secret and is_reference:
        cause = "its value, not shown here, has a $ that no option's name follows; $$ stands for a $"
    elif option.opt.secret and not getattr(option.opt.type, "hides_value", False):
        cause = "its value, not shown here, is not valid"
    return f"cannot use option {option} of {place}: {cause}"


def _says(file: Path, option: _Option) -> bool:
    sections: dict[str, dict[str, list[str]]] = {}
    cfg.ConfigParser(str(file), sections).parse()
    return option.opt.dest in sections.get(option.group, {})


def _without_line(exc: cfg.ConfigFileParseError) -> str:
    line = getattr(exc.__context__, "line", None)
    return _one_line(exc).removesuffix(": " + " ".join(repr(line).split()))


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files))


def _one_line(exc: BaseException) -> str:
    return " ".join(str(exc).split())
