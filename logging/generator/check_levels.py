"""A host's levels and thresholds -> which stages of a migration they hide from who asks why it failed."""

import configparser
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from cloud.logs.emit.levels import SEVERITIES, severity_number, severity_of
from cloud.logs.emit.redact import redact_text
from cloud.logs.events import MIGRATION, MIGRATION_SERVICES, SUFFIX_LEVELS
from cloud.logs.generator.finding import Finding
from cloud.logs.generator.logging_conf import Logger, LoggingConfError, read_logging_conf
from cloud.logs.generator.tree import FRAGMENT, HostTree, default_options, service_conf, services_of

_LOG_CONFIG = ("log-config", "log_config", "log_config_append")
_TRUE = ("true", "1", "on", "yes")  # oslo.config's, in any case

_FILTER = re.compile(r"^\s*if (?P<condition>.*\$syslogseverity <= (?P<severity>[0-7]).*) then \{", re.MULTILINE)
# The guide's own kind of line: *.error @@172.20.1.43:1024
_SELECTABLE = (*SEVERITIES, "error", "warn")
_LEGACY_FORWARD = re.compile(r"^(?P<selectors>[^#:$\s]\S*)\s+@@?[^\s@]", re.MULTILINE)


def check_levels(tree: HostTree) -> Iterator[Finding]:
    """A warning for each place that hides stages of the services on a migration's path; none of what is too broken."""
    for nova_conf in tree.nova_confs:
        yield from _check_sources(tree, nova_conf)
    if tree.rsyslog_d:
        yield from _check_forward(tree, tree.rsyslog_d / FRAGMENT)


def _check_sources(tree: HostTree, nova_conf: Path) -> Iterator[Finding]:
    own_files = services_of(nova_conf)
    by_file: dict[Path, list[str]] = {}  # several services may share the guide's single logging.conf
    for service in MIGRATION_SERVICES:
        if own_files and service not in own_files:
            continue
        try:
            options = default_options(nova_conf)
            if own_files:
                options |= default_options(service_conf(nova_conf, service))
        except (OSError, ValueError, configparser.Error) as exc:
            cause = redact_text(str(exc))  # a parser's complaint quotes the line
            yield Finding(tree.host, nova_conf, "error", f"cannot read the options of {service}: {cause}")
            continue
        source = service_conf(nova_conf, service) if own_files else nova_conf
        log_config = next((options[key] for key in _LOG_CONFIG if options.get(key)), None)
        if log_config is not None:
            # By its name, since the tree is not yet where the option says.
            logging_conf = nova_conf.with_name(Path(log_config).name)
            if logging_conf in tree.logging_confs or logging_conf.is_file():
                by_file.setdefault(logging_conf, []).append(service)
            else:
                yield Finding(tree.host, source, "error", f"log-config names {log_config}, which is not there")
        elif not any(options.get(key, "").lower() in _TRUE for key in ("verbose", "debug")):
            hidden = _hidden(MIGRATION.suffixes_below(logging.WARNING), [service])
            message = f"without log-config, verbose or debug {service} logs from WARNING up, {hidden}"
            yield Finding(tree.host, source, "warning", f"{message}; set log-config, or verbose = True")
    for logging_conf, services in by_file.items():
        yield from _check_logger(tree, logging_conf, services)


def _check_logger(tree: HostTree, logging_conf: Path, services: list[str]) -> Iterator[Finding]:
    try:
        loggers = {logger.qualname: logger for logger in read_logging_conf(logging_conf)}
    except (LoggingConfError, OSError, ValueError):  # the check of the file itself says so
        return
    logger = loggers.get("nova", loggers.get("root", Logger("root", logging.WARNING, logging.WARNING)))
    if not (suffixes := MIGRATION.suffixes_below(logger.threshold)):
        return
    section = "[logger_nova]" if logger.qualname == "nova" else "[logger_root], there being no logger nova,"
    what = "the level of its handlers to" if logger.level < logger.threshold else "level ="
    passes = f"{section} lets pass {logging.getLevelName(logger.threshold)} and up"
    yield Finding(tree.host, logging_conf, "warning", f"{passes}, {_hidden(suffixes, services)}; set {what} INFO there")


def _check_forward(tree: HostTree, fragment: Path) -> Iterator[Finding]:
    present = [name for conf in tree.nova_confs for name in services_of(conf)]
    services = [name for name in present or MIGRATION_SERVICES if name in MIGRATION_SERVICES]
    try:
        text = fragment.read_text(encoding="utf-8")
    except (OSError, ValueError):  # the check by rsyslogd says so
        return
    for severity in _forward_thresholds(text):
        hidden = tuple(suffix for suffix, level in SUFFIX_LEVELS.items() if severity_of(level) > severity)
        if hidden and services:
            passes = f"forwards {SEVERITIES[severity]} and what is more severe"
            message = f"{passes}, {_hidden(hidden, services)}; set thresholds.nova: info in the inventory"
            yield Finding(tree.host, fragment, "warning", message)


def _forward_thresholds(text: str) -> Iterator[int]:
    """The least severe that each forward lets pass, but for those that pass a migration's events anyway."""
    for match in _FILTER.finditer(text):
        if not ("$!body!event" in match["condition"] and MIGRATION.name in match["condition"]):
            yield int(match["severity"])
    for match in _LEGACY_FORWARD.finditer(text):
        for selector in match["selectors"].split(";"):
            facilities, _, severity = selector.rpartition(".")
            for_nova = any(name.startswith(("*", "local")) for name in facilities.split(","))
            if for_nova and severity.lower() in _SELECTABLE:
                yield severity_number(severity)


def _hidden(suffixes: tuple[str, ...], services: list[str]) -> str:
    return f"which hides the {', '.join(suffixes)} events of a migration's steps in {', '.join(services)}"
