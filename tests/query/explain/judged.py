"""Sets of failures that judge: what is true of each, and what is to be called right, vague, unknown or wrong."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.explanation import Explanation, Verdict
from cloud.logs.query.explain.identity import NotFoundError
from tests.query.explain.transcript import one_a_line
from tests.query.explain.wire import explained, table

NOTHING_FAILED, NOT_KNOWN = "none", "unknown"


@dataclass(frozen=True)
class Truth:
    """`at` is None where the instance is on no host, or no line says on which."""

    subject: str
    cause: str
    says_less: frozenset[str]
    steps: frozenset[str]
    line: tuple[str, str] | None
    """The host that tells the cause, and a part of what it says; None where nothing failed."""
    at: str | None


@dataclass(frozen=True)
class Judged:
    """What was said of one; None where there was nothing to explain."""

    truth: Truth
    found: Explanation | None

    @property
    def verdict(self) -> str:
        return "unknown" if self.found is None else verdict_on(self.found, self.truth)

    @property
    def has_line_first(self) -> bool:
        """Whether the line that tells the cause is the one that is shown as the first error."""
        failure = None if self.found is None else self.found.failure
        if failure is None or self.truth.line is None:
            return failure is None and self.truth.line is None
        host, part = self.truth.line
        return failure.first.host == host and part in failure.first.text


def judged(directory: Path, kept: Path) -> Mapping[str, Judged]:
    """Of each of a set, by its name, with the lines of all of them in one store."""
    right = truths(directory)
    store = DuckDbStore(kept)
    try:
        store.append(table([line for name in right for line in one_a_line(name, directory)]))
        return {name: Judged(truth, _explained(store, truth.subject)) for name, truth in right.items()}
    finally:
        store.close()


def truths(directory: Path) -> Mapping[str, Truth]:
    values = tomllib.loads((directory / "truth.toml").read_text())
    return {
        name: Truth(
            each["subject"],
            each["cause"],
            frozenset(each.get("says_less", ())),
            frozenset(each["steps"]),
            (each["host"], each["line"]) if "line" in each else None,
            each.get("at"),
        )
        for name, each in values.items()
    }


def verdict_on(found: Explanation, truth: Truth) -> str:
    """right, vague, unknown or wrong: also of the step and of the host, not only of the cause."""
    if (found.failure is None) is not (truth.cause == NOTHING_FAILED):
        return "wrong"
    is_host_wrong = found.position is not None and found.position.host not in {None, truth.at}
    if found.failure is None:
        return "wrong" if is_host_wrong else "right"
    named = {cause.id for cause in found.causes}
    if is_host_wrong or (found.failure.step is not None and found.failure.step not in truth.steps):
        return "wrong"
    if not named:
        return "right" if truth.cause == NOT_KNOWN else "unknown"
    if found.verdict is Verdict.KNOWN and truth.cause in named:
        return "right"
    return "vague" if named & {truth.cause, *truth.says_less} else "wrong"


def _explained(store: DuckDbStore, subject: str) -> Explanation | None:
    try:
        return explained(store, subject)
    except NotFoundError:
        return None
