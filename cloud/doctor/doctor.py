"""Looks, looks again at what seems to be wrong, and mends what it is told to."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cloud.doctor.bounds import Bounds
from cloud.doctor.examinations import examine
from cloud.doctor.finding import Finding
from cloud.doctor.remedy import Means
from cloud.doctor.survey import Survey
from cloud.doctor.surveyor import Surveyor

SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is inconsistent, and how much was looked at."""

    findings: tuple[Finding, ...]
    silent: Mapping[str, str]
    """Compute hosts of which nothing is known, and why."""
    is_partial: bool
    """Whether one of those is taken to be up, and should have answered."""
    counts: Mapping[str, int]


class Doctor:
    """What is only on its way from one state to another when it is looked at is no finding."""

    def __init__(
        self,
        surveyor: Surveyor,
        means: Means,
        bounds: Bounds,
        *,
        settle_s: float = SETTLE_S,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """What is found is looked at once more after `settle_s`; `wait` lets so many seconds pass."""
        self._surveyor = surveyor
        self._means = means
        self._bounds = bounds
        self._settle_s = settle_s
        self._wait = wait

    def look(self) -> Diagnosis:
        """Errors as of Surveyor.look."""
        survey = self._surveyor.look()
        findings = examine(survey, self._bounds)
        if findings:
            seen = {finding.identity for finding in findings}
            self._wait(self._settle_s)
            survey = self._surveyor.look()
            findings = tuple(each for each in examine(survey, self._bounds) if each.identity in seen)
        return Diagnosis(findings, survey.silent, bool(survey.unanswered), _counts(survey))

    def mend(self, finding: Finding) -> None:
        """A CloudError says why it was not done, or not wholly; ValueError for what has no remedy."""
        if finding.remedy is None:
            raise ValueError(f"cannot mend {finding.kind} of instance {finding.instance}: it has no remedy")
        finding.remedy.apply(self._means)


def _counts(survey: Survey) -> Mapping[str, int]:
    return {
        "instances": len(survey.instances),
        "claims": len(survey.claims),
        "addresses": len(survey.allocations),
        "migrations": len(survey.migrations),
        "hosts": len(survey.guests),
        "guests": sum(map(len, survey.guests.values())),
    }
