"""What a request's hints say of other instances."""

from cloud.domain.host import BuildRequest
from cloud.domain.service import MAX_TEXT_LENGTH

SAME_HOST = "same_host"
DIFFERENT_HOST = "different_host"
MAX_HINTED = 1000
"""Instances in one request's hints, all told."""


def hinted_instances(request: BuildRequest, hint: str) -> frozenset[str]:
    """The uuids that `hint` has, which is one or a list of them; ValueError for anything else."""
    value = request.hints.get(hint)
    if value is None:
        return frozenset()
    uuids = [value] if isinstance(value, str) else value
    if not (isinstance(uuids, list | tuple) and all(map(_may_be_uuid, uuids))):
        raise ValueError(f"the hint {hint} is neither the id of an instance nor a list of them")
    return frozenset(uuids)


def asked_instances(request: BuildRequest) -> frozenset[str]:
    """The instances of which the filters must know where they are; ValueError as above, and for more than are read."""
    asked = hinted_instances(request, SAME_HOST) | hinted_instances(request, DIFFERENT_HOST)
    if len(asked) > MAX_HINTED:
        raise ValueError(f"the hints {SAME_HOST} and {DIFFERENT_HOST} name more than {MAX_HINTED} instances")
    return asked


def _may_be_uuid(value: object) -> bool:
    """Whether it is a text that the database can look for."""
    return isinstance(value, str) and len(value) <= MAX_TEXT_LENGTH and value.isprintable()
