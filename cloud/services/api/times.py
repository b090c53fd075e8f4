"""Times as the API writes them, in UTC, most resources with microseconds and without a zone; and as it reads them."""

from datetime import UTC, datetime

from cloud.errors import BadRequestError


def moment(value: datetime) -> str:
    """Such as `2014-10-16T12:00:00.000000`."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def moment_or_none(value: datetime | None) -> str | None:
    return None if value is None else moment(value)


def second(value: datetime) -> str:
    """As servers and images have it: `2014-10-16T12:00:00Z`."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_time(name: str, text: str) -> datetime:
    """What a query has as `name`, in UTC, which is its zone where it has none; BadRequestError for what is no time."""
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequestError(f"cannot use {name}: it is no time of ISO 8601") from None
