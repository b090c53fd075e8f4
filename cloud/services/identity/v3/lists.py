"""What lists of v3 may be asked for."""

from typing import Annotated

from fastapi import Query

from cloud.domain.identity import DEFAULT_DOMAIN_ID

DomainId = Annotated[str | None, Query()]
Enabled = Annotated[str | None, Query()]


def is_of_domain(domain_id: str | None) -> bool:
    """Whether anything can be in the domain that was asked for, if any was."""
    return domain_id in (None, DEFAULT_DOMAIN_ID)


def is_wanted(*, is_enabled: bool, enabled: str | None) -> bool:
    """Whether something belongs into a list that was asked for with `?enabled`, `?enabled=true`, `?enabled=0`."""
    if enabled is None:
        return True
    return is_enabled == (enabled.casefold() not in ("false", "0", "no", "off"))
