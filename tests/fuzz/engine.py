"""One target under atheris, which follows what each input reaches: `python -m tests.fuzz.engine TARGET LIBFUZZER_OPTION...`

NUMBA_DISABLE_JIT=1 must be set: machine code cannot be followed.
"""

import os
import sys

import atheris  # type: ignore[import-untyped]

from tests.fuzz.targets import check_of

FOLLOWED = ["cloud.logs.collector"]


def main() -> None:
    """Run until an input fails or libFuzzer's options end it; does not return."""
    # libFuzzer bounds the peak that the kernel counts, which a started program has from the one that started it, and a
    # forked process has not.
    if child := os.fork():
        sys.exit(int(os.waitpid(child, 0)[1] != 0))
    target = sys.argv.pop(1)
    with atheris.instrument_imports(include=FOLLOWED):
        check = check_of(target)
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
