"""A log record as `@cee: {...}` on one line: the body that rsyslog's mmjsonparse and the collector read."""

import logging
from collections.abc import Mapping
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from cloud.logs.emit.context import current_context
from cloud.logs.emit.fit import TRUNCATED, fit, text_of
from cloud.logs.emit.redact import redact_fields, redact_text
from cloud.logs.emit.transport import MAX_DATAGRAM_BYTES

COOKIE = "@cee: "
HEADER_ROOM = 1024  # the longest RFC 5424 header takes 255 + 48 + 128 + 32 bytes and some punctuation
_NOT_FIELDS = frozenset(RESERVED_ATTRS) | {"fields", "message", "asctime"}


class CeeFormatter(JsonFormatter):
    """Fields first the constant ones (message, level, logger), then the request context, then the caller's own.

    Secrets are redacted here, before the line leaves the process. An exception becomes exc_type, exc_message and
    traceback. A caller's field that bears the name of a constant one is kept with an underscore behind it.
    """

    def __init__(
        self,
        *_args: object,
        max_bytes: int = MAX_DATAGRAM_BYTES - HEADER_ROOM,
        **_options: object,
    ) -> None:
        """fileConfig passes format, date format, style and defaults; a JSON body has no use for them."""
        super().__init__()
        self._max_bytes = max_bytes

    def format(self, record: logging.LogRecord) -> str:
        try:
            return super().format(record)
        except Exception as exc:  # noqa: BLE001 - a caller's argument may raise anything when it is rendered
            # Half a line beats none: the template without its arguments, and why.
            template = logging.makeLogRecord(vars(record))
            template.msg = f"{text_of(record.msg)} (cannot render its arguments: {type(exc).__name__})"
            template.args = None
            return super().format(template)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        if ei[0] is None:  # exc_info=True where there was none
            return ""
        try:
            return str(super().formatException(ei))
        except Exception as exc:  # noqa: BLE001 - an exception's own attributes may raise
            return f"<no traceback of {ei[0].__qualname__}: {type(exc).__name__}>"

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        own = {key: value for key, value in vars(record).items() if key not in _NOT_FIELDS}
        own |= _fields_of(record)
        own |= {key: value for key, value in message_dict.items() if key not in {"exc_info", "stack_info"}}
        log_data["message"] = redact_text(record.message)
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        context = current_context().as_fields()
        log_data.update(context)
        if record.lineno:
            log_data["src"] = f"{record.filename}:{record.lineno}"
        if record.exc_info and record.exc_info[0] is not None:
            log_data["exc_type"] = record.exc_info[0].__qualname__
            log_data["exc_message"] = redact_text(text_of(record.exc_info[1]))
        if traceback := message_dict.get("exc_info"):
            log_data["traceback"] = redact_text(str(traceback))
        if stack := message_dict.get("stack_info"):
            log_data["stack"] = redact_text(str(stack))
        taken = {TRUNCATED, *log_data} - set(context)
        for key, value in _redacted(own).items():
            name = key
            while name in taken:
                name += "_"
            taken.add(name)
            log_data[name] = value

    def serialize_log_record(self, log_data: dict[str, Any]) -> str:
        return COOKIE + fit(log_data, self._max_bytes - len(COOKIE))


class TerminalFormatter(logging.Formatter):
    """The classic line of nova's log files, for a terminal: time, process, level, logger, [request], message."""

    def format(self, record: logging.LogRecord) -> str:
        context = current_context()
        request = " ".join(filter(None, (context.request_id, context.user, context.project))) or "-"
        instance = f"[instance: {context.instance}] " if context.instance else ""
        head = f"{self.formatTime(record, '%Y-%m-%d %H:%M:%S')}.{int(record.msecs):03d} {record.process}"
        lines = [f"{head} {record.levelname} {record.name} [{request}] {instance}{record.getMessage()}"]
        if fields := _fields_of(record):
            lines[0] += " " + " ".join(f"{key}={value}" for key, value in _redacted(fields).items())
        if record.exc_info and record.exc_info[0] is not None:
            lines.append(self.formatException(record.exc_info))
        return redact_text("\n".join(lines))


def _redacted(fields: Mapping[Any, object]) -> dict[str, object]:
    """`fields` without secrets; one that raises, or that another thread is changing, does not take the rest along."""
    try:
        return redact_fields(fields)
    except Exception:  # noqa: BLE001 - a foreign mapping may raise anything
        return {text_of(key): _redacted_alone(text_of(key), value) for key, value in fields.items()}


def _redacted_alone(key: str, value: object) -> object:
    try:
        return redact_fields({key: value}).popitem()[1]
    except Exception as exc:  # noqa: BLE001 - as above
        return f"<{type(value).__name__}: cannot be read, {type(exc).__name__}>"


def _fields_of(record: logging.LogRecord) -> Mapping[Any, object]:
    """What a line was bound to; somebody else's `extra` may use the same name for anything."""
    fields = getattr(record, "fields", {})
    return fields if isinstance(fields, Mapping) else {"fields": fields}
