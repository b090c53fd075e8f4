"""Times as the API writes them."""

from datetime import UTC, datetime


def to_second(time: datetime) -> str:
    """As v2.0 writes when a token expires: 2014-10-16T12:00:00Z."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_microsecond(time: datetime) -> str:
    """As v3 writes all times: 2014-10-16T12:00:00.000000Z."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
