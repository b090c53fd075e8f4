"""What travels on the bus: a request with the context it belongs to, and its reply, as JSON. No I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self, cast

from cloud.logs.emit import RequestContext
from cloud.rpc.errors import BadMessageError, describe_error, rebuild_error

VERSION = 1
MAX_NAME = 255
"""Characters of an id, a method, a sender, a queue; AMQP has no longer names either."""
MAX_BYTES = 1 << 20
"""Of a body. What is larger has no place on a bus: it goes by way of the image or object store."""

_CONTEXT_FIELDS = frozenset(item.name for item in fields(RequestContext))


@dataclass(frozen=True, slots=True)
class Request:
    """A method to be called, and for whom."""

    id: str
    """Unique; a message that is delivered twice has it twice."""
    method: str
    arguments: Mapping[str, Any]
    sender: str
    """`nova-api on controller-01`, for the log of whoever answers."""
    context: RequestContext = field(default_factory=RequestContext)
    reply_to: str | None = None
    """The queue that waits for the reply; None for a cast."""
    expires_at_s: float | None = None
    """Unix time after which nobody waits any more."""

    def encode(self) -> bytes:
        return _encode(
            {
                "version": VERSION,
                "id": self.id,
                "method": self.method,
                "arguments": dict(self.arguments),
                "sender": self.sender,
                "context": self.context.as_fields(),
                "reply_to": self.reply_to,
                "expires_at_s": self.expires_at_s,
            }
        )

    @classmethod
    def decode(cls, body: object) -> Self:
        """The request in `body` (text or bytes, as the transport has it); BadMessageError for anything else."""
        content = _decode(body)
        try:
            context = content["context"]
            request = cls(
                id=content["id"],
                method=content["method"],
                arguments=content["arguments"],
                sender=content["sender"],
                # A newer sender may know of more.
                context=RequestContext(**{key: context[key] for key in _CONTEXT_FIELDS & context.keys()}),
                reply_to=content["reply_to"],
                expires_at_s=content["expires_at_s"],
            )
        except (KeyError, TypeError, AttributeError) as exc:
            raise BadMessageError(f"cannot read request: {type(exc).__name__}: {exc}") from exc
        names = [request.id, request.method, request.sender]
        if request.reply_to is not None:
            names.append(request.reply_to)
        if not all(_is_name(name) for name in names) or not isinstance(request.arguments, dict):
            raise BadMessageError("cannot read request: a field has the wrong type or length")
        if not all(map(_is_text, request.context.as_fields().values())):
            raise BadMessageError("cannot read request: its context has what is no name or id")
        if request.expires_at_s is not None and not _is_time(request.expires_at_s):
            raise BadMessageError("cannot read request: expires_at_s is not a time")
        return request


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of the request `id`: a result, or an error."""

    id: str
    result: Any = None
    error: Exception | None = None

    def encode(self) -> bytes:
        error = describe_error(self.error) if self.error is not None else None
        return _encode({"version": VERSION, "id": self.id, "result": self.result, "error": error})

    @classmethod
    def decode(cls, body: object) -> Self:
        """The reply in `body`, as for a request."""
        content = _decode(body)
        try:
            error = content["error"]
            rebuilt = rebuild_error(str(error["type"]), str(error["message"])) if error is not None else None
            return cls(id=str(content["id"]), result=content["result"], error=rebuilt)
        except (KeyError, TypeError) as exc:
            raise BadMessageError(f"cannot read reply: {type(exc).__name__}: {exc}") from exc


def _encode(content: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise BadMessageError(f"cannot send what JSON does not hold: {exc}") from exc
    body = text.encode(errors="backslashreplace")  # half a character, which UTF-8 has not, is \uD800 in JSON as well
    if len(body) > MAX_BYTES:
        raise BadMessageError(f"cannot send {len(body)} bytes: a message has at most {MAX_BYTES}")
    return body


def _decode(body: object) -> dict[str, Any]:
    if isinstance(body, memoryview):
        body = bytes(body)
    if not isinstance(body, str | bytes):
        raise BadMessageError(f"cannot read a message whose body is {type(body).__name__}")
    if len(body) > MAX_BYTES:
        raise BadMessageError(f"cannot read a message of {len(body)} bytes: it may have {MAX_BYTES}")
    try:
        content = json.loads(body, parse_constant=_refuse)  # NaN is neither JSON nor a time
    except (ValueError, RecursionError) as exc:
        raise BadMessageError(f"cannot read message: {exc}") from exc
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise BadMessageError(f"cannot read message: it is not one of version {VERSION}")
    return content


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _is_name(value: object) -> bool:
    return bool(value) and _is_text(value)


def _is_text(value: object) -> bool:
    """Whether it may stand on every line of a request."""
    return isinstance(value, str) and len(value) <= MAX_NAME and value.isprintable()


def _is_time(value: object) -> bool:
    return type(value) in (int, float) and 0 <= cast("float", value) < 1 << 40
