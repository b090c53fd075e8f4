"""The same questions over HTTP to a collector of its own process: idle first, then while lines come in."""

import itertools
import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench import freshness
from bench.collector_process import TCP, CollectorProcess
from bench.query.asking import Answer, by_http
from bench.query.data import Made
from bench.query.questions import Question
from bench.query.rounds import difference

QUERY_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """One answer over HTTP."""

    layout: str
    question: str
    is_beside_ingest: bool
    took_s: float


@dataclass(frozen=True, slots=True)
class Load:
    """What came in beside the questions."""

    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Served:
    """What a collector answered, and how its lines fared meanwhile; without a load None."""

    requests: Sequence[Request]
    ingest: freshness.Sample | None
    wrong: Sequence[str]


class _Asker:
    """Asks over HTTP and looks at each answer."""

    def __init__(self, made: Made, asked: Sequence[Question], answers: Mapping[str, Answer]) -> None:
        self._made = made
        self._asked = asked
        self._answers = answers
        self.requests: list[Request] = []
        self.wrong: list[str] = []

    def ask(self, http: httpx.Client, question: Question, *, is_beside_ingest: bool) -> float:
        begun_s = time.perf_counter()
        read = by_http(http, question, self._made)
        took_s = time.perf_counter() - begun_s
        answer, expected = read(), self._answers[question.name]
        if answer != expected:
            self.wrong.append(f"{self._made.layout.name}, HTTP: {question.name}: {difference(answer, expected)}")
        self.requests.append(Request(self._made.layout.name, question.name, is_beside_ingest, took_s))
        return took_s

    def ask_on(self, url: str, answers_s: list[float], stop: threading.Event) -> None:
        """One question after another, until `stop`."""
        with httpx.Client(base_url=url, timeout=QUERY_TIMEOUT_S, trust_env=False) as http:
            for question in itertools.cycle(self._asked):
                if stop.is_set():
                    return
                answers_s.append(self.ask(http, question, is_beside_ingest=True))


def serve(
    made: Made, asked: Sequence[Question], answers: Mapping[str, Answer], rounds: int, load: Load | None
) -> Served:
    """Ask a collector on a copy of the data that shares its files, which stay as they are."""
    asker = _Asker(made, asked, answers)
    ingest = None
    with tempfile.TemporaryDirectory(prefix="b-", dir=made.data.parent) as directory:
        _link(made.data, Path(directory) / "data")
        with CollectorProcess(Path(directory), TCP) as collector:
            with httpx.Client(base_url=collector.http.base_url, timeout=QUERY_TIMEOUT_S, trust_env=False) as http:
                for number in range(-1, rounds):
                    if number == 0:
                        asker.requests.clear()  # of the first round, which warms up
                    for question in asked:
                        asker.ask(http, question, is_beside_ingest=False)
            if load is not None:
                ingest = freshness.measure(collector, load.rate, load.seconds, asker.ask_on)
    idle = [request for request in asker.requests if not request.is_beside_ingest]
    beside = [request for request in asker.requests if request.is_beside_ingest]
    if ingest is not None:  # those that it counts, after its warm-up
        beside = beside[len(beside) - len(ingest.queries_s) :]
    return Served([*idle, *beside], ingest, asker.wrong)


def _link(data: Path, copy: Path) -> None:
    copy.mkdir(mode=0o700)
    for path in data.iterdir():
        if path.is_file() and path.name != "lock":
            os.link(path, copy / path.name)
