"""One target under atheris, which follows what each input reaches: `python -m tests.fuzz.engine TARGET LIBFUZZER_OPTION...`

NUMBA_DISABLE_JIT=1 must be set: machine code cannot be followed.
"""

import resource
import sys

import atheris  # type: ignore[import-untyped]

from tests.fuzz.targets import check_of

FOLLOWED = ["cloud.logs.collector"]
MEMORY_MB = 2048
"""What the inputs may take."""


def main() -> None:
    """Run until an input fails or libFuzzer's options end it; does not return."""
    # libFuzzer looks at the peak that the kernel counts, and a process starts with the peak of the one that forked it.
    inherited_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    target = sys.argv.pop(1)
    with atheris.instrument_imports(include=FOLLOWED):
        check = check_of(target)
    atheris.Setup([*sys.argv, f"-rss_limit_mb={inherited_mb + MEMORY_MB}"], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
