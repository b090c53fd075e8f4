"""What is looked for: one file for what is looked at, each a function of nothing but a survey."""

from collections.abc import Callable, Iterable, Sequence

from cloud.doctor.bounds import Bounds
from cloud.doctor.examinations.addresses import examine_addresses
from cloud.doctor.examinations.claims import examine_claims
from cloud.doctor.examinations.copies import examine_copies
from cloud.doctor.examinations.guests import examine_guests
from cloud.doctor.examinations.hosts import examine_hosts
from cloud.doctor.examinations.migrations import examine_migrations
from cloud.doctor.examinations.tasks import examine_tasks
from cloud.doctor.finding import Finding
from cloud.doctor.survey import Survey

EXAMINATIONS: Sequence[Callable[[Survey, Bounds], Iterable[Finding]]] = (
    examine_guests,
    examine_copies,
    examine_hosts,
    examine_claims,
    examine_addresses,
    examine_migrations,
    examine_tasks,
)
"""In the order in which their findings are told, and mended."""


def examine(survey: Survey, bounds: Bounds) -> tuple[Finding, ...]:
    """All that is inconsistent in what was seen."""
    return tuple(finding for examination in EXAMINATIONS for finding in examination(survey, bounds))
