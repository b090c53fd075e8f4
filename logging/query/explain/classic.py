"""What nova's own lines of 2014 to 2017 say of a procedure: which one it is, and which step began, ended or failed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cloud.logs.events import BUILD, COMPLETED, EVACUATE, FAILED, MIGRATION, PROGRESS, RESIZE, STARTED, Procedure
from cloud.logs.query.explain.lines import WARNING, Line
from cloud.logs.query.explain.places import Side


@dataclass(frozen=True, slots=True)
class Landmark:
    """A line that tells where a procedure stands; None as `procedure` leaves open which one."""

    pattern: re.Pattern[str]
    procedure: Procedure | None
    step: str
    suffix: str
    side: Side | None = None
    """What the host is that says so; None where either may."""
    is_frame: bool = False
    """Whether it is a function in a traceback: the host is that side only where it ran the function itself."""


def _landmark(pattern: str, procedure: Procedure | None, step: str, suffix: str, side: Side | None = None) -> Landmark:
    return Landmark(re.compile(pattern), procedure, step, suffix, side)


def _frame(functions: str, procedure: Procedure, step: str, side: Side) -> Landmark:
    """Of the manager or the driver: those who call them have methods of the same names (compute/rpcapi.py)."""
    pattern = rf'(?:compute/manager|virt/\w+/driver)\.py", line \d+, in (?:{functions})\b'
    return Landmark(re.compile(pattern), procedure, step, FAILED, side, is_frame=True)


LANDMARKS: Sequence[Landmark] = (
    _frame("check_can_live_migrate_destination", MIGRATION, "dest_check", Side.DESTINATION),
    _frame("check_can_live_migrate_source", MIGRATION, "dest_check", Side.SOURCE),
    _landmark(r"\ACPU doesn't have compatibility", MIGRATION, "dest_check", FAILED, Side.DESTINATION),
    _landmark(r"\AInstance launched has CPU info", MIGRATION, "dest_check", STARTED, Side.DESTINATION),
    _landmark(r"\APre live migration failed at ", MIGRATION, "pre", FAILED, Side.SOURCE),
    _frame("pre_live_migration", MIGRATION, "pre", Side.DESTINATION),
    _landmark(r"\AMigration running for 0 secs", MIGRATION, "transfer", STARTED, Side.SOURCE),
    _landmark(r"\AMigration running for ", MIGRATION, "transfer", PROGRESS, Side.SOURCE),
    _landmark(r"\AIncreasing downtime to ", MIGRATION, "transfer", PROGRESS, Side.SOURCE),
    _landmark(r"\ASwitching to post-copy", MIGRATION, "transfer", PROGRESS, Side.SOURCE),
    _landmark(r"\ALive Migration failure: ", MIGRATION, "transfer", FAILED, Side.SOURCE),
    _frame("_?post_live_migration", MIGRATION, "post", Side.SOURCE),
    _landmark(r"\ALive migration failed\.", MIGRATION, "transfer", FAILED, Side.SOURCE),
    _landmark(r"\ALive migration (?:not completed|stuck)", MIGRATION, "transfer", FAILED, Side.SOURCE),
    _landmark(r"\AMigration operation (?:has aborted|was cancelled)", MIGRATION, "transfer", FAILED, Side.SOURCE),
    _landmark(r"\AMigration operation has completed", MIGRATION, "transfer", COMPLETED, Side.SOURCE),
    _landmark(r"\A_post_live_migration\(\) is started", MIGRATION, "post", STARTED, Side.SOURCE),
    _landmark(r"\APost operation of migration started", MIGRATION, "post", STARTED, Side.DESTINATION),
    _landmark(r"\APost live migration at destination .* failed", MIGRATION, "post", FAILED, Side.SOURCE),
    _landmark(r"\AMigrating instance to .* finished successfully", MIGRATION, "post", COMPLETED, Side.SOURCE),
    _frame("post_live_migration_at_destination", MIGRATION, "post", Side.DESTINATION),
    _landmark(r"\AMigration of instance .* unexpectedly failed", MIGRATION, "request", FAILED),
    _landmark(r"\ARebuilding instance\b", EVACUATE, "spawn", STARTED, Side.DESTINATION),
    _frame("rebuild_instance|_do_rebuild_instance", EVACUATE, "spawn", Side.DESTINATION),
    _landmark(r"\AMigrating\Z", RESIZE, "pre", STARTED, Side.DESTINATION),
    _frame("migrate_disk_and_power_off|_?resize_instance", RESIZE, "transfer", Side.SOURCE),
    _frame("_?finish_resize|finish_migration", RESIZE, "post", Side.DESTINATION),
    _frame("_?prep_resize", RESIZE, "claim", Side.DESTINATION),
    _landmark(r"\AUpdating instance to original state", RESIZE, "revert", STARTED, Side.SOURCE),
    _landmark(r"\AInstance running successfully", RESIZE, "post", COMPLETED, Side.DESTINATION),
    _landmark(r"\bNo valid host found for (?:cold migrate|resize)\b", RESIZE, "schedule", FAILED),
    _landmark(
        r"\AFailed to compute_task_(?:build_instances|schedule_and_build_instances)\b", BUILD, "schedule", FAILED
    ),
    _landmark(r"\AFailed to scheduler_run_instance\b", BUILD, "schedule", FAILED),
    _landmark(r"\AFailed to (?:compute_task|scheduler)_\w+: .*\b[Ll]ive migrat", MIGRATION, "request", FAILED),
    _landmark(r"\AFailed to (?:compute_task|scheduler)_\w+: No valid host\b", None, "schedule", FAILED),
    _landmark(r"\AFailed to (?:compute_task|scheduler)_\w+: ", None, "request", FAILED),
    _landmark(r"\AHTTP exception thrown: ", None, "request", FAILED),
    _landmark(r"\AAttempting to build \d+ instance", BUILD, "schedule", STARTED),
    _landmark(r"\AChoosing host ", BUILD, "schedule", COMPLETED),
    _landmark(r"\AStarting instance\.\.\.", BUILD, "claim", STARTED, Side.DESTINATION),
    _landmark(
        r"\AInstance failed network setup|\AFailed to allocate network\(s\)", BUILD, "network", FAILED, Side.DESTINATION
    ),
    _landmark(r"\AInstance failed block device setup", BUILD, "image", FAILED, Side.DESTINATION),
    _landmark(r"\AInstance failed to spawn", BUILD, "spawn", FAILED, Side.DESTINATION),
    _landmark(r"\AInstance spawned successfully", BUILD, "spawn", COMPLETED, Side.DESTINATION),
    _landmark(r"\ATook [\d.]+ seconds to build instance", BUILD, "spawn", COMPLETED, Side.DESTINATION),
    _landmark(r"\ACreating image\Z", None, "spawn", STARTED),
    _landmark(r"Insufficient compute resources", None, "claim", FAILED),
    _landmark(r"\AAttempting claim", None, "claim", STARTED),
    _landmark(r"\AClaim successful", None, "claim", COMPLETED),
    _landmark(r"\AFiltering removed all hosts|\AFilter \w+ returned 0 hosts", None, "schedule", FAILED),
)
"""By what is written first; those of failures also where a traceback names a function. The first that fits counts."""
_OF_NEWS = ("request", "schedule")
"""Steps whose failures nova tells as mere news."""


def landmark_of(line: Line) -> Landmark | None:
    """None for a line that tells nothing of the kind; a failure's words count only in lines that are no mere news.

    What failed and is tried again has not failed yet.
    """
    if not line.is_classic:
        return None
    for landmark in LANDMARKS:
        is_told = landmark.suffix != FAILED or line.severity <= WARNING or landmark.step in _OF_NEWS
        if is_told and landmark.pattern.search(line.message):
            is_open = landmark.suffix == FAILED and is_tried_again(line)
            side = None if landmark.is_frame and not _is_its_own(line) else landmark.side
            return replace(landmark, suffix=PROGRESS if is_open else landmark.suffix, side=side)
    return None


def _is_its_own(line: Line) -> bool:
    """Whether the functions of its traceback ran on its host; of two tracebacks one is of a host that it has called."""
    return line.service == "nova-compute" and line.message.count("Traceback (most recent call last)") == 1


_ATTEMPT = re.compile(r"\(attempt (\d{1,6}) of (\d{1,6})\)")
_AGAIN = re.compile(r"(?<!\bnot)[ ,]+(?:will retry|retrying)(?: \S+)?\.*\s*\Z", re.IGNORECASE)


def is_tried_again(line: Line) -> bool:
    """Whether it says that what has failed is not given up: there are attempts left, or it is being repeated."""
    said = line.message.partition("\n")[0]
    found = _ATTEMPT.search(said)
    return line.is_classic and (int(found[1]) < int(found[2]) if found else _AGAIN.search(said) is not None)


_REFUSALS = ("Failed to compute_task_", "Failed to scheduler_", "HTTP exception thrown: ")


def is_refusal(line: Line) -> bool:
    """Whether it says that a request has failed: nova tells that in a warning, or as mere news."""
    return line.is_classic and line.message.startswith(_REFUSALS)


_DELETION = "Terminating instance"
_DELETED = re.compile(
    r"\ATook [\d.]+ seconds to (?:destroy the instance on the hypervisor|deallocate network for instance)"
    r"|\ADeletion of \S+ complete"
)


def is_deletion(line: Line) -> bool:
    """Whether it says that a host begins to delete its instance."""
    return line.is_classic and line.message.startswith(_DELETION)


_SHELVING = re.compile(r"\AShelv(?:ing|e offloading)\b")


def is_shelving(line: Line) -> bool:
    """Whether it says that a host begins to let go of its instance, until somebody wants that back."""
    return line.is_classic and _SHELVING.match(line.message) is not None


def is_running(line: Line) -> bool:
    """Whether it says that a guest runs, which is how a resize ends, its revert, and a resume."""
    return line.is_classic and line.message.startswith("Instance running successfully")


def is_post_copy(line: Line) -> bool:
    """Whether it says that a guest goes on at its destination while its memory is still on its way there."""
    return line.is_classic and line.message.startswith("Switching to post-copy")


def is_start(line: Line) -> bool:
    """Whether it says that a host begins to build its instance."""
    return line.is_classic and line.message.startswith("Starting instance...")


def is_deleted(line: Line) -> bool:
    """Whether it says that a deletion has come to its end."""
    return line.is_classic and _DELETED.match(line.message) is not None


_DESTINATIONS = (
    re.compile(r"\APre live migration failed at +(\S+)\s*$", re.MULTILINE),
    re.compile(r"\AMigration of instance \S+ to host (\S+) unexpectedly failed"),
    re.compile(r"\AMigrating instance to (\S+) finished successfully"),
    re.compile(r"\APost live migration at destination (\S+) failed"),
)


def destination_of(line: Line) -> str | None:
    """The host that a line names as the one to go to."""
    found = (pattern.search(line.message) for pattern in _DESTINATIONS)
    return next((match[1] for match in found if match is not None), None)
