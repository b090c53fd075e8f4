"""A second set of failures of nova, written by who had not seen the catalogue: how many are explained, and how well.

It judges and is not worked with. A general change may move a verdict, and the table with it; a signature that is made
for one of these transcripts would make the table worthless.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.explanation import Explanation, Verdict
from cloud.logs.query.explain.identity import NotFoundError
from tests.query.explain.transcript import one_a_line
from tests.query.explain.wire import explained, table

DIRECTORY = Path(__file__).parent
NOTHING_FAILED, NOT_KNOWN = "none", "unknown"

WRONG = {
    "05": "the port of the memory stream is taken for the connection between the two libvirtd",
    "08": "a refusal that only conductor tells of, in a warning, is taken for no failure",
    "34": "a build that failed on one host and then went well on another is called failed",
    "37": "a step that was tried again and went well is taken for the one that failed",
    "38": "a periodic task that fails after a migration has ended makes the migration a failed one",
    "39": "an error after the guest has gone over is taken for one of the transfer, and the guest for left behind",
}
"""What is said of them that is not so."""
VAGUE = {"20"}
UNKNOWN = {"10", "11", "12", "16", "18", "19", "21", "26"}
"""Nothing wrong is said, but the catalogue has more to say of them; of 18 and 19 nothing is said at all."""
ANOTHER_LINE_FIRST = {"09", "10", "17", "25", "28", "31"}
"""Where another line than the one that tells the cause is shown as the first error, though nothing said is wrong."""


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


def truths() -> Mapping[str, Truth]:
    values = tomllib.loads((DIRECTORY / "truth.toml").read_text())
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


TRUTHS = truths()


def verdict_on(found: Explanation, truth: Truth) -> str:
    """right, vague, unknown or wrong: also of the step and of the host, not only of the cause."""
    if (found.failure is None) is not (truth.cause == NOTHING_FAILED):
        return "wrong"
    if found.failure is None:
        return "right"
    named = {cause.id for cause in found.causes}
    is_step_wrong = found.failure.step is not None and found.failure.step not in truth.steps
    is_host_wrong = found.position is not None and found.position.host not in {None, truth.at}
    if is_step_wrong or is_host_wrong:
        return "wrong"
    if not named:
        return "right" if truth.cause == NOT_KNOWN else "unknown"
    if found.verdict is Verdict.KNOWN and truth.cause in named:
        return "right"
    return "vague" if named & {truth.cause, *truth.says_less} else "wrong"


@pytest.fixture(scope="module")
def explanations(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Explanation | None]:
    """None where there was nothing to explain."""
    found: dict[str, Explanation | None] = {}
    for name, truth in TRUTHS.items():
        store = DuckDbStore(tmp_path_factory.mktemp(name))
        try:
            store.append(table(one_a_line(name, DIRECTORY)))
            found[name] = explained(store, truth.subject)
        except NotFoundError:
            found[name] = None
        finally:
            store.close()
    return found


@pytest.fixture(scope="module")
def verdicts(explanations: Mapping[str, Explanation | None]) -> Mapping[str, str]:
    return {name: verdict_on(found, TRUTHS[name]) if found else "unknown" for name, found in explanations.items()}


def test_of_a_second_set_so_many_are_explained_and_so_well(verdicts: Mapping[str, str]) -> None:
    judged = {name: verdict for name, verdict in verdicts.items() if name not in WRONG}
    assert {name: verdict for name, verdict in judged.items() if verdict == "wrong"} == {}
    assert {name for name, verdict in judged.items() if verdict == "vague"} == VAGUE
    assert {name for name, verdict in judged.items() if verdict == "unknown"} == UNKNOWN
    assert len(TRUTHS) == 40
    assert len([verdict for verdict in judged.values() if verdict == "right"]) == 25


def test_of_a_second_set_the_line_that_tells_the_cause_is_mostly_the_first_error(
    explanations: Mapping[str, Explanation | None],
) -> None:
    failures = {name: found.failure for name, found in explanations.items() if found and name not in WRONG}
    others = set()
    for name, failure in failures.items():
        line = TRUTHS[name].line
        assert line is not None, name
        host, part = line
        if failure is None or failure.first.host != host or part not in failure.first.text:
            others.add(name)
    assert others == ANOTHER_LINE_FIRST


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xfail(strict=True, reason=why)) for name, why in WRONG.items()]
)
def test_none_of_a_second_set_is_explained_wrongly(name: str, verdicts: Mapping[str, str]) -> None:
    assert verdicts[name] != "wrong"
