"""One target under atheris, which follows what each input reaches: `python -m tests.fuzz.engine TARGET LIBFUZZER_OPTION...`

NUMBA_DISABLE_JIT=1 must be set: machine code cannot be followed.
"""

import sys

import atheris  # type: ignore[import-untyped]

from tests.fuzz.targets import check_of

FOLLOWED = ["cloud.logs.collector"]


def main() -> None:
    """Run until an input fails or libFuzzer's options end it; does not return."""
    target = sys.argv.pop(1)
    with atheris.instrument_imports(include=FOLLOWED):
        check = check_of(target)
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
