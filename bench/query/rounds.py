"""The product and raw SQL in turns, over the same rows, with answers that must be the same each time."""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bench.query.asking import Answer, Product, by_sql
from bench.query.data import Made
from bench.query.questions import Question
from cloud.logs.collector.duckdb_store import DuckDbStore


@dataclass(frozen=True, slots=True)
class Sample:
    """One question in one round."""

    layout: str
    question: str
    round: int
    product_s: float
    sql_s: float

    @property
    def ratio(self) -> float:
        return self.product_s / self.sql_s


@dataclass(frozen=True, slots=True)
class Compared:
    """What the rounds found."""

    samples: Sequence[Sample]
    answers: Mapping[str, Answer]
    """By the names of the questions."""
    wrong: Sequence[str]
    """Where the product's answer was another one than that of SQL, in words."""


def compare(made: Made, asked: Sequence[Question], rounds: int) -> Compared:
    """Ask everything `rounds` times, after once to warm up, each time with the other one first."""
    samples, wrong = [], []
    answers: dict[str, Answer] = {}
    store = DuckDbStore(made.data)
    try:
        product = Product(store)
        gc.freeze()  # as the collector does: a collection that looks at all that is loaded takes a tenth of a second
        for number in range(-1, rounds):
            for question in asked:
                ways = [partial(product.ask, question, made), partial(by_sql, store, question, made)]
                is_turned = number % 2 == 0
                timed = [_timed(way) for way in (reversed(ways) if is_turned else ways)]
                (product_s, answer), (sql_s, expected) = reversed(timed) if is_turned else timed
                answers[question.name] = expected
                if answer != expected:
                    wrong.append(f"{made.layout.name}: {question.name}: {difference(answer, expected)}")
                if number >= 0:
                    samples.append(Sample(made.layout.name, question.name, number, product_s, sql_s))
    finally:
        store.close()
    return Compared(samples, answers, wrong)


def difference(answer: Answer, expected: Answer) -> str:
    """In words, where two answers differ."""
    if len(answer) != len(expected):
        return f"{len(answer)} rows instead of {len(expected)}"
    pairs = enumerate(zip(answer, expected, strict=True))
    number, (one, other) = next((at, pair) for at, pair in pairs if pair[0] != pair[1])
    return f"row {number} is {one!r:.200} instead of {other!r:.200}"


def _timed(ask: Callable[[], Callable[[], Answer]]) -> tuple[float, Answer]:
    begun_s = time.perf_counter()
    read = ask()
    return time.perf_counter() - begun_s, read()
