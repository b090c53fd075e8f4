"""The measurement of the live tail, short: a real collector, real clients, and the store as the judge."""

from dataclasses import replace

from bench.tail import is_right, measure
from bench.tail_scenes import QUESTIONS, Scene


def test_each_of_many_clients_gets_what_the_store_has_for_it() -> None:
    questions = [(query.format(n=number), sql.format(n=number)) for number in range(4) for query, sql in QUESTIONS]
    sample = measure(Scene("short", 2000, 3, [("", "true"), *questions]))
    assert is_right(sample), replace(sample, percentiles_s=())
    assert sample.clients == 21
    assert sample.rows > 5000
    assert sample.worst_s is not None
    assert 0 < sample.percentiles_s[49] <= sample.percentiles_s[98] <= sample.worst_s + 1e-6
