"""What the questions took, as a table: the product against SQL, over HTTP, and beside ingest."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bench.query.beside import Load, Request, Served
from bench.query.data import Made
from bench.query.questions import Question
from bench.query.rounds import Compared, Sample
from bench.result import Result

COLUMNS = (
    "rows over, question",
    "ms",
    "raw SQL ms",
    "times raw SQL",
    "at most",
    "by HTTP ms",
    "beside ingest ms",
    "times idle",
)
MOST_BESIDE_INGEST = 2.0
MOST_VISIBLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that was found of one layout."""

    made: Made
    questions: Sequence[Question]
    compared: Compared
    served: Served

    @property
    def wrong(self) -> Sequence[str]:
        return [*self.compared.wrong, *self.served.wrong]


def result_of(outcomes: Sequence[Outcome], rounds: int, load: Load | None) -> Result:
    """The table, with what is slower than it should be in its notes."""
    rows = [_row(outcome, question) for outcome in outcomes for question in outcome.questions]
    first = outcomes[0].made
    samples: list[Mapping[str, object]] = [
        *(asdict(sample) for outcome in outcomes for sample in outcome.compared.samples),
        *(asdict(request) for outcome in outcomes for request in outcome.served.requests),
    ]
    return Result(
        "query",
        f"Questions to {first.rows:,} rows, medians of {rounds} rounds in turns with SQL on the same connection",
        COLUMNS,
        rows,
        {"rows": first.rows, "rounds": rounds, "load": None if load is None else asdict(load)},
        samples,
        [
            "Answers are compared with those of the SQL each time; for what is rare that is contains() on the message.",
            *(_data_note(outcome.made) for outcome in outcomes),
            *(note for outcome in outcomes if (note := _ingest_note(outcome))),
            *(f"Wrong: {wrong}." for outcome in outcomes for wrong in dict.fromkeys(outcome.wrong)),
        ],
    )


def too_slow(outcomes: Sequence[Outcome]) -> list[str]:
    """What takes longer than it should, in words."""
    found = []
    for outcome in outcomes:
        for question in outcome.questions:
            ratio = statistics.median(sample.ratio for sample in _samples(outcome, question))
            if ratio > question.at_most:
                found.append(f"{outcome.made.layout.name}: {question.name}: {ratio:.2f} times the SQL")
            idle, beside = (_median_s(outcome, question, is_beside_ingest=each) for each in (False, True))
            if idle and beside and beside > MOST_BESIDE_INGEST * idle:
                found.append(
                    f"{outcome.made.layout.name}: {question.name}: beside ingest {beside / idle:.2f} times idle"
                )
        ingest = outcome.served.ingest
        if ingest is not None and (p99_s := _p99_s(ingest.delays_s)) > MOST_VISIBLE_S:
            found.append(f"{outcome.made.layout.name}: lines were visible after {p99_s:.2f} s (p99)")
    return found


def _row(outcome: Outcome, question: Question) -> list[str]:
    own = _samples(outcome, question)
    ratios = [sample.ratio for sample in own]
    idle, beside = (_median_s(outcome, question, is_beside_ingest=each) for each in (False, True))
    return [
        f"{outcome.made.layout.name}: {question.name}",
        _ms(statistics.median(sample.product_s for sample in own)),
        _ms(statistics.median(sample.sql_s for sample in own)),
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})",
        f"{question.at_most:g}",
        _ms(idle),
        _ms(beside),
        "-" if idle is None or beside is None else f"{beside / idle:.2f}",
    ]


def _samples(outcome: Outcome, question: Question) -> list[Sample]:
    return [sample for sample in outcome.compared.samples if sample.question == question.name]


def _median_s(outcome: Outcome, question: Question, *, is_beside_ingest: bool) -> float | None:
    def is_wanted(request: Request) -> bool:
        return (request.question, request.is_beside_ingest) == (question.name, is_beside_ingest)

    own = [request.took_s for request in outcome.served.requests if is_wanted(request)]
    return statistics.median(own) if own else None


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f}" if seconds < 0.01 else f"{seconds * 1000:.0f}"


def _data_note(made: Made) -> str:
    per_row, of_index = made.stored_bytes / made.rows, made.index_bytes / made.rows
    return f"{made.layout.name}: {per_row:.1f} bytes a row in {made.files} file(s), and {of_index:.1f} of indexes."


def _ingest_note(outcome: Outcome) -> str:
    ingest = outcome.served.ingest
    if ingest is None:
        return ""
    cuts = statistics.quantiles(ingest.delays_s, n=100)
    return (
        f"{outcome.made.layout.name}, ingest of {ingest.rate:.0f} msg/s beside {len(ingest.queries_s)} questions, one"
        f" after another: sent to queryable p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms;"
        f" the collector takes {ingest.core_share:.0%} of a core and {ingest.peak_rss_bytes / 1e6:.0f} MB at its peak."
    )


def _p99_s(delays_s: Sequence[float]) -> float:
    return statistics.quantiles(delays_s, n=100)[98]
