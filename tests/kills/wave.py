"""One wave from the requests to the verdicts."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from cloud.db.models import MigrationRow
from cloud.domain.migration import ENDED, MigrationStatus
from tests.kills.daemons import CONDUCTOR
from tests.kills.evidence import VERSION, Evidence
from tests.kills.instances import Instances, NoneLeftError
from tests.kills.judge import judge
from tests.kills.site import Site
from tests.kills.trials import Trial, Wave

REACH_S = 12.0
"""For all moves of a wave to be at their steps."""
END_S = 90.0
"""For a move to come to its end."""
SETTLE_S = 15.0
"""For what is left of it to be tidied up, and for its last lines to be stored."""
TRIES = 12
"""At a step that nothing keeps a move at."""
POLL_S = 0.05
WAITS_BY_A_KNOB = "step waits by a knob"


@dataclass(frozen=True, slots=True)
class Stand:
    """How far a migration is."""

    status: MigrationStatus
    step: str | None
    is_undoing: bool

    def is_at(self, trial: Trial) -> bool:
        if self.has_ended:
            return False
        if trial.at.undoes is not None:
            return self.is_undoing and self.step == trial.at.undoes
        return not self.is_undoing and self.step == trial.at.step

    @property
    def has_ended(self) -> bool:
        """Or waits to be confirmed."""
        return self.status in ENDED or self.status is MigrationStatus.FINISHED


@dataclass(slots=True)
class Outcome:
    """What became of one trial."""

    trial: Trial
    uuid: str
    killed_s: float
    """When, in monotonic seconds."""
    status: str = ""
    error: str | None = None
    seconds: float = 0.0
    """From the kill to its end."""
    wrong: Sequence[str] = ("it was not judged",)

    @property
    def is_good(self) -> bool:
        return not self.wrong


class Waves:
    """Carries waves out on one site."""

    def __init__(self, site: Site, instances: Instances) -> None:
        self._site = site
        self._instances = instances

    def run(self, wave: Wave) -> tuple[Sequence[Outcome], Sequence[Trial]]:
        """What became of the trials, and those whose moment was missed."""
        outcomes = self._run_quick(wave.trials[0]) if wave.is_quick else self._run_kept(wave)
        if outcomes:
            since_kill = timedelta(seconds=time.monotonic() - outcomes[0].killed_s)
            self._site.wait_until_up(datetime.now(UTC) - since_kill)
            self.judge(outcomes)
        done = [outcome.trial for outcome in outcomes]
        return outcomes, [trial for trial in wave.trials if trial not in done]

    def judge(self, outcomes: Sequence[Outcome]) -> None:
        """Note what is wrong and stays so."""
        deadline_s = time.monotonic() + SETTLE_S
        while True:
            with suppress(FileNotFoundError):  # a hypervisor tidies up at this moment
                evidence = Evidence(self._site)
                for outcome in outcomes:
                    found = evidence.of(outcome.uuid)
                    outcome.status, outcome.error = found.migration.status, found.migration.error
                    outcome.wrong = judge(outcome.trial.move, found)
            if all(outcome.is_good for outcome in outcomes) or time.monotonic() >= deadline_s:
                return
            self._site.machine.watch()
            time.sleep(POLL_S * 10)

    def _run_kept(self, wave: Wave) -> Sequence[Outcome]:
        site = self._site
        uuids: dict[Trial, str] = {}
        for trial in wave.trials:
            with suppress(NoneLeftError):
                uuids[trial] = self._instances.take(trial.move)
        if not uuids:
            return []
        if wave.stopped is not None:
            site.stop(wave.stopped)
        try:
            site.turn_knobs(_delays(uuids), _failures(uuids))
            with ThreadPoolExecutor(len(uuids)) as pool:
                asked = [pool.submit(self._ask, trial, uuid) for trial, uuid in uuids.items()]
                reached = self._wait_for_steps(uuids)
                site.kill(wave.killed)
                killed_s = time.monotonic()
                reached = [trial for trial in reached if self._stand(uuids[trial]).is_at(trial)]
                if wave.stopped is not None and wave.stopped != wave.killed:
                    site.resume(wave.stopped)
                site.turn_knobs({}, {})
                site.wait(lambda: all(each.done() for each in asked), END_S, "nova-api's answers")
            for each in asked:
                each.result()
        finally:
            site.turn_knobs({}, {})
        outcomes = {trial: Outcome(trial, uuid, killed_s) for trial, uuid in uuids.items()}
        self._wait_for_ends(list(outcomes.values()))
        return [outcomes[trial] for trial in reached]

    def _run_quick(self, trial: Trial) -> Sequence[Outcome]:
        """The conductor is stopped as soon as the step is seen: it is killed there if it is there still."""
        for _ in range(TRIES):
            try:
                uuid = self._instances.take(trial.move)
            except NoneLeftError:
                break
            before = self._newest(uuid)
            with ThreadPoolExecutor(1) as pool:
                asked = pool.submit(self._ask, trial, uuid)
                is_hit = self._catch(trial, uuid, before)
                killed_s = time.monotonic()
                self._site.wait(asked.done, END_S, "nova-api's answer")
                asked.result()
            outcome = Outcome(trial, uuid, killed_s)
            self._wait_for_ends([outcome])
            if is_hit:
                return [outcome]
        return []

    def _catch(self, trial: Trial, uuid: str, before: tuple[int, Stand] | None) -> bool:
        """Whether it was killed in time."""
        deadline_s = time.monotonic() + REACH_S
        while time.monotonic() < deadline_s:
            found = self._newest(uuid)
            if found is None or found == before:
                continue
            if found[1].is_at(trial):
                self._site.stop(CONDUCTOR)
                if self._stand(uuid).is_at(trial):
                    self._site.kill(CONDUCTOR)
                    return True
                self._site.resume(CONDUCTOR)
                return False
            if found[1].has_ended:
                return False
        return False

    def _wait_for_steps(self, uuids: Mapping[Trial, str]) -> Sequence[Trial]:
        """Those that are at their steps when all are, or when no more will come."""
        deadline_s = time.monotonic() + REACH_S
        while True:
            there = [trial for trial, uuid in uuids.items() if self._is_kept(trial, uuid)]
            if len(there) == len(uuids) or time.monotonic() >= deadline_s:
                return there
            self._site.machine.watch()
            time.sleep(POLL_S)

    def _is_kept(self, trial: Trial, uuid: str) -> bool:
        found = self._newest(uuid)
        if found is None or not found[1].is_at(trial):
            return False
        return all(self._has_said(uuid, knob.step) for _, knob in trial.knobs)

    def _has_said(self, uuid: str, step: str) -> bool:
        """Whether a hypervisor takes its time for it."""
        rows = self._site.collector.rows({"instance": uuid, "n": 200})
        return any(row["message"] == WAITS_BY_A_KNOB and row["fields"].get("step") == step for row in rows)

    def _wait_for_ends(self, outcomes: Sequence[Outcome]) -> None:
        """And note how long each has taken."""
        left = list(outcomes)
        deadline_s = time.monotonic() + END_S
        while left and time.monotonic() < deadline_s:
            for outcome in list(left):
                found = self._newest(outcome.uuid)
                if found is not None and found[1].has_ended:
                    outcome.seconds = time.monotonic() - outcome.killed_s
                    left.remove(outcome)
            self._site.machine.watch()
            time.sleep(POLL_S)
        for outcome in left:
            outcome.seconds = END_S

    def _ask(self, trial: Trial, uuid: str) -> None:
        self._site.api.post(f"/servers/{uuid}/action", trial.move.request, version=VERSION)

    def _stand(self, uuid: str) -> Stand:
        found = self._newest(uuid)
        if found is None:
            raise RuntimeError(f"instance {uuid} has no migration any more")
        return found[1]

    def _newest(self, uuid: str) -> tuple[int, Stand] | None:
        wanted = (
            select(MigrationRow.id, MigrationRow.status, MigrationRow.step, MigrationRow.is_undoing)
            .where(MigrationRow.instance_uuid == uuid)
            .order_by(MigrationRow.id.desc())
            .limit(1)
        )
        with self._site.database.reading() as session:
            row = session.execute(wanted).one_or_none()
        return None if row is None else (row.id, Stand(MigrationStatus(row.status), row.step, row.is_undoing))


def _delays(uuids: Mapping[Trial, str]) -> Mapping[str, Sequence[str]]:
    """The knobs by which all are kept at their steps, by host."""
    knobs = defaultdict[str, list[str]](list)
    for trial, uuid in uuids.items():
        for host, knob in trial.knobs:
            knobs[host].append(f"{knob.step}@{uuid}:{knob.hold_s:g}")
    return knobs


def _failures(uuids: Mapping[Trial, str]) -> Mapping[str, Sequence[str]]:
    """Those that let steps fail."""
    knobs = defaultdict[str, list[str]](list)
    for trial, uuid in uuids.items():
        if (knob := trial.at.fails) is not None:
            knobs[trial.move.host_of(knob.part)].append(f"{knob.step}@{uuid}")
    return knobs
