"""The measurement of the live tail, short: a real collector, real clients, and the store as the judge."""

from dataclasses import replace

from bench.tail import QUESTIONS, Scene, is_right, measure


def test_each_of_many_clients_gets_what_the_store_has_for_it() -> None:
    questions = [(query.format(n=number), sql.format(n=number)) for number in range(4) for query, sql in QUESTIONS]
    sample = measure(Scene("short", 2000, 3, [("", "true"), *questions]))
    assert is_right(sample), replace(sample, delays_s=())
    assert sample.clients == 21
    assert sample.rows > 5000
    assert len(sample.delays_s) == 60 * 21
