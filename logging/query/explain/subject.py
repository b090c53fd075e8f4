"""What was asked about: from the text of a request to the form that it may have. Nothing is looked up here."""

import re
from dataclasses import dataclass
from enum import StrEnum

from cloud.logs.query.explain.lines import UUID

MAX_CHARS = 255
MIN_PREFIX = 6
"""Characters of a uuid that are enough to ask by."""

_UUID = re.compile(UUID)
_PREFIX = re.compile(
    rf"(?=.{{{MIN_PREFIX},36}}\Z)[0-9a-fA-F]{{1,8}}(?:-[0-9a-fA-F]{{0,4}}){{0,3}}(?:-[0-9a-fA-F]{{0,12}})?"
)
_REQUEST = re.compile(rf"req-[0-9a-fA-F-]{{{MIN_PREFIX},36}}")
_DOMAIN = re.compile(r"(?:instance-|i-)(?P<id>[0-9a-fA-F]{8,16})")
_NUMBER = re.compile(r"[1-9]\d{0,17}|0")


class SubjectError(ValueError):
    """Nothing that could be asked about."""


class Kind(StrEnum):
    """What something was taken for."""

    MIGRATION = "migration"
    INSTANCE = "instance"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Forms:
    """How a text can be read; each is None where it cannot be that."""

    text: str
    request: str | None = None
    """A request id, or its beginning."""
    uuid: str | None = None
    """A whole uuid, of whatever."""
    prefix: str | None = None
    """The beginning of one."""
    number: int | None = None
    """A migration's id, or an instance's."""
    instance_id: int | None = None
    """An instance's id, by the name that its hypervisor or EC2 has for it."""

    @property
    def name(self) -> str | None:
        """A name that its owner gave it, where it is nothing else."""
        others = (self.request, self.uuid, self.number, self.instance_id)
        return self.text if all(each is None for each in others) else None


def read_subject(text: str) -> Forms:
    """`SubjectError` for what is empty, too long, or holds control characters."""
    text = text.strip()
    if not text or len(text) > MAX_CHARS or not text.isprintable():
        raise SubjectError(
            f"cannot explain {text[:40]!r}: expected an id, a uuid, a request id or a name of an instance"
        )
    if _REQUEST.fullmatch(text):
        return Forms(text, request=text.lower())
    if _UUID.fullmatch(text):
        return Forms(text, uuid=text.lower())
    if found := _DOMAIN.fullmatch(text):
        return Forms(text, instance_id=int(found["id"], 16))
    prefix = text.lower() if _PREFIX.fullmatch(text) else None
    if _NUMBER.fullmatch(text):
        return Forms(text, number=int(text), prefix=prefix)
    return Forms(text, prefix=prefix)


def domain_name(instance_id: int) -> str:
    """What hypervisors call an instance."""
    return f"instance-{instance_id:08x}"


def ec2_id(instance_id: int) -> str:
    """What EC2's API calls it."""
    return f"i-{instance_id:08x}"
