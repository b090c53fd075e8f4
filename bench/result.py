"""What a benchmark found, with what it was found on: a table on stdout, JSON in bench/results."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench import machine

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Result:
    """One benchmark's result; `rows` are the table as text, `samples` the figures it was made from."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    settings: Mapping[str, object]
    samples: Sequence[Mapping[str, object]]
    notes: Sequence[str] = ()
    measured: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    commit: str = field(default_factory=machine.commit)
    machine: Mapping[str, object] = field(default_factory=machine.description)

    def write(self, directory: Path = RESULTS) -> Path:
        """Write it to `<date>-<name>.json`; a later one of the same day takes its place."""
        directory.mkdir(exist_ok=True)
        path = directory / f"{self.measured[:10]}-{self.name}.json"
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")
        return path


def newest_results(directory: Path = RESULTS) -> list[Result]:
    """The newest result of each name, in order of name."""
    newest: dict[str, Result] = {}
    for path in sorted(directory.glob("*.json")):  # by date
        found = Result(**json.loads(path.read_text()))
        newest[found.name] = found
    return [newest[name] for name in sorted(newest)]


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns are aligned in plain text too; all but the first are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return f"| {' | '.join([cells[0].ljust(widths[0]), *padded])} |"

    rule = "| " + " | ".join(["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]) + " |"
    return "\n".join([line(columns), rule, *map(line, rows)])


def as_text(result: Result) -> str:
    """Title, table and notes, as they stand in README."""
    found_on = result.machine
    where = f"{found_on['cpu']}, {found_on['cores']} cores, {found_on['memory_gb']} GB; commit {result.commit}"
    about = f"{result.title} ({result.measured[:10]}; {where}):"
    notes = [f"- {note}" for note in result.notes]
    return "\n\n".join(filter(None, [about, markdown(result.columns, result.rows), "\n".join(notes)]))
