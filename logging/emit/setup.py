"""Start of logging in a service: loguru in front, Python's logging behind it, as nova.conf and logging.conf say."""

import logging
import logging.config
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import loguru
from loguru import logger

from cloud.logs.emit.cee import CeeFormatter, TerminalFormatter
from cloud.logs.emit.levels import AUDIT, register_level_names
from cloud.logs.emit.names import logger_name
from cloud.logs.emit.settings import LogSettings
from cloud.logs.emit.syslog import SyslogHandler
from cloud.logs.facilities import FACILITIES

if TYPE_CHECKING:
    from loguru import Message


class LogSetupError(Exception):
    """Logging cannot be set up as configured; nothing has been logged yet."""


def set_up_logging(settings: LogSettings, *, service: str, host: str) -> None:
    """From here on every line of this process, third-party libraries' included, goes where `settings` say.

    Call it once, before the first thread starts. `LogSetupError` names the file and the cause.
    """
    register_level_names()
    if settings.log_config:
        _configure_from_file(settings.log_config)
    else:
        _use(_handler(settings, service, host), settings.level)
    _put_ourselves_in_front()
    if settings.ignored:
        logger.bind(log_config=settings.log_config, ignored=", ".join(settings.ignored)).warning(
            "log-config rules out other logging options"
        )


def log_through(handler: logging.Handler, level: int) -> None:
    """The same with a handler that the caller has made, for nova's lines from `level` up and others' warnings."""
    register_level_names()
    _use(handler, level)
    _put_ourselves_in_front()


def _put_ourselves_in_front() -> None:
    _put_loguru_in_front()
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def _configure_from_file(path: str) -> None:
    try:
        with Path(path).open(encoding="utf-8") as file:  # fileConfig itself takes a missing file for an empty one
            logging.config.fileConfig(file, disable_existing_loggers=False)
    except Exception as exc:  # fileConfig evaluates `args`, which may raise anything
        cause = f"there is no {exc}" if isinstance(exc, KeyError) else " ".join(str(exc).split())
        raise LogSetupError(f"cannot load logging configuration {path}: {type(exc).__name__}: {cause}") from exc


def _handler(settings: LogSettings, service: str, host: str) -> logging.Handler:
    handler: logging.Handler
    if settings.use_syslog:
        facility = settings.syslog_log_facility or FACILITIES.get(service, "user")
        try:
            handler = SyslogHandler(settings.syslog_address, facility=facility, app_name=service, hostname=host)
        except ValueError as exc:
            raise LogSetupError(f"cannot log to syslog: {exc}") from exc
        handler.setFormatter(CeeFormatter())
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(TerminalFormatter())
    return handler


def _use(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("nova").setLevel(level)


def _put_loguru_in_front() -> None:
    logger.remove()
    try:
        logger.level("AUDIT", no=AUDIT)
    except ValueError:
        logger.level("AUDIT")  # there already; loguru refuses to give a level a second number
    # As a filter that lets nothing through to a sink: loguru locks around a sink, so that a line from a destructor or
    # a signal's handler would be lost, or wait for ever; and it first renders a text that nobody reads.
    logger.add(_sink, level=0, filter=_pass_to_logging, backtrace=False, diagnose=False)


def _sink(_message: "Message") -> None:
    """Never called."""


def _pass_to_logging(record: "loguru.Record") -> bool:
    """The record goes on under nova's name, with its exception, where its logger's level lets it."""
    target = logging.getLogger(logger_name(record["name"]))
    level = record["level"].no
    if not target.isEnabledFor(level):  # handle() does not ask
        return False
    exception = record["exception"]
    passed = target.makeRecord(
        target.name,
        level,
        record["file"].path,
        record["line"],
        record["message"],
        (),
        (exception.type, exception.value, exception.traceback) if exception and exception.type else None,  # type: ignore[arg-type]
        record["function"],
        {"fields": record["extra"]},
    )
    passed.levelname = record["level"].name  # logging does not know a level that only loguru was taught
    target.handle(passed)
    return False


def _log_uncaught(exc_type: type[BaseException], exc: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(exc_type, KeyboardInterrupt):
        sys.__excepthook__(exc_type, exc, traceback)
        return
    logging.getLogger("nova").critical("uncaught exception", exc_info=(exc_type, exc, traceback))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or issubclass(args.exc_type, SystemExit):
        return
    logging.getLogger("nova").critical(
        "uncaught exception in thread",
        exc_info=(args.exc_type, args.exc_value, args.exc_traceback),
        extra={"thread_name": args.thread.name if args.thread else None},
    )
