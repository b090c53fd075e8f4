"""Puts the newest results into README.md, between its two marks.

python -m bench.report
"""

from collections.abc import Sequence
from pathlib import Path

from bench.result import Result, as_text, newest_results

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


def main() -> None:
    README.write_text(with_results(README.read_text(), newest_results()))


def with_results(text: str, results: Sequence[Result]) -> str:
    """`text` with `results` in place of what stands between the marks; `ValueError` where they are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"cannot put results into the text: expected {BEGIN} and {END}, in this order")
    return "\n\n".join([before + begin, *map(as_text, results), end + after])


if __name__ == "__main__":
    main()
