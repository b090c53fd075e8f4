"""python -m cloud.logs.collector.precompile: compile every kernel, and keep the machine code for who starts next."""

import subprocess
import sys

from loguru import logger

from cloud.logs.collector.columns.parser import BatchParser
from cloud.logs.collector.compiled import is_complete, set_complete
from cloud.logs.collector.index.kernel import load_grams
from cloud.logs.collector.receivers.scan import load_scans

TIMEOUT_S = 300.0


def compile_elsewhere() -> None:
    """Have another process compile what no start has compiled yet: this one would keep what that takes, 200 MB.

    Where that does not work, the kernels are compiled as they are first needed.
    """
    if is_complete():
        return
    try:
        subprocess.run(
            [sys.executable, "-m", __name__],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        logger.bind(error=str(exc)).warning("cannot compile beside this process, it compiles itself")


def main() -> None:
    load_scans()
    BatchParser()
    load_grams()
    set_complete()


if __name__ == "__main__":
    main()
