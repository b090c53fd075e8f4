"""The logging keys of nova.conf, with the meaning that the administration guide gives them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg, types

from cloud.logs.emit.transport import transport_for
from cloud.logs.facilities import FACILITY_NUMBERS

DEFAULT_SOCKET = "unix:/run/nova/log.sock"
_LOG_CONFIG_SPELLINGS = ("log-config", "log_config", "log_config_append")


class _Facility(types.String):
    """`LOG_LOCAL3` as `local3`; empty means none."""

    def __call__(self, value: Any) -> Any:
        name = str(value).lower().removeprefix("log_")
        if name and name not in FACILITY_NUMBERS:
            raise ValueError(f"expected LOG_LOCAL0 to LOG_LOCAL7, LOG_USER or LOG_DAEMON, not {value!r}")
        return name or None


class _Address(types.String):
    """What a transport understands."""

    def __call__(self, value: Any) -> Any:
        transport_for(value)
        return value


OPTIONS: Sequence[cfg.Opt] = (
    cfg.BoolOpt("debug", default=False, help="Log from DEBUG up."),
    cfg.BoolOpt("verbose", default=False, help="Log from INFO up; without it and debug, from WARNING up."),
    cfg.BoolOpt("use_syslog", default=False, help="Log to syslog rather than to stderr."),
    cfg.Opt(
        "syslog_log_facility",
        type=_Facility(),
        help="LOG_LOCAL0 to LOG_LOCAL7, LOG_USER or LOG_DAEMON; else the service's own.",
    ),
    cfg.Opt(
        "syslog_address",
        type=_Address(),
        default=DEFAULT_SOCKET,
        help="unix:/PATH of rsyslog's socket, or tcp://HOST:PORT.",
    ),
    *(
        cfg.StrOpt(name, dest=name, help="A logging.conf as Python's fileConfig reads it; it wins over all the others.")
        for name in _LOG_CONFIG_SPELLINGS
    ),
)
_RULED_OUT_BY_LOG_CONFIG = ("debug", "verbose", "use_syslog", "syslog_log_facility", "syslog_address")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What a service's configuration says of its logging."""

    level: int = logging.WARNING
    use_syslog: bool = False
    syslog_log_facility: str | None = None
    syslog_address: str = DEFAULT_SOCKET
    log_config: str | None = None
    ignored: tuple[str, ...] = ()
    """Keys that somebody set and log-config rules out."""


def log_settings(conf: cfg.ConfigOpts) -> LogSettings:
    """The settings in `conf`, on which OPTIONS are registered; oslo.config's error names file, option and value."""
    log_config = next((conf[name] for name in _LOG_CONFIG_SPELLINGS if conf[name]), None)
    return LogSettings(
        level=logging.DEBUG if conf.debug else logging.INFO if conf.verbose else logging.WARNING,
        use_syslog=conf.use_syslog,
        syslog_log_facility=conf.syslog_log_facility,
        syslog_address=conf.syslog_address,
        log_config=log_config,
        ignored=tuple(name for name in _RULED_OUT_BY_LOG_CONFIG if _is_set(conf, name)) if log_config else (),
    )


def _is_set(conf: cfg.ConfigOpts, name: str) -> bool:
    location = conf.get_location(name)
    return location is not None and location.location.is_user_controlled
