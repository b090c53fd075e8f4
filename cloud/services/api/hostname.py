"""The name of a host, as requests give it."""

from typing import Annotated

from pydantic import StringConstraints

HostName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9._-]+$")]
"""RFC 952, and the underscores that are in use."""
