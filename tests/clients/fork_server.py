"""Runs a script as often as it is told to, each time in a process of its own that need not import it: it forks.

    python -P fork_server.py SCRIPT

Each line of stdin is a list of processes that are to run at once, as JSON; the line that answers it is the list of
their exit codes. It runs in the script's own environment, and so imports nothing but the standard library.
"""

import atexit
import importlib
import json
import os
import runpy
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FunctionType
from typing import Any


def main() -> None:
    """Return in the processes that have run the script, too: they end as any other does."""
    script = sys.argv[1]
    sys.path.insert(0, str(Path(script).parent))
    imported = runpy.run_path(script, run_name="imported").values()
    own = {each.__module__ for each in imported if isinstance(each, type | FunctionType)}
    for line in sys.stdin:
        running = []
        for process in json.loads(line):
            hears, tells = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(hears)
                for name in own:  # runs anew: a default argument of such a one may be the arguments of the process
                    sys.modules.pop(name, None)
                _become(script, process, tells)
                return
            os.close(tells)
            running.append((pid, hears))
        for _, hears in running:
            _import_too(hears)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid, _ in running]
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


def _become(script: str, process: dict[str, Any], tells: int) -> None:
    """Run the script, and tell at the very end what was imported for it."""
    signal.alarm(process["timeout_s"])
    atexit.register(_tell, tells, frozenset(sys.modules))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(process["stdout"], os.O_WRONLY), 1)
    os.dup2(os.open(process["stderr"], os.O_WRONLY), 2)
    os.chdir(process["directory"])
    os.environ.clear()
    os.environ.update(process["environment"])
    sys.argv = [script, *process["arguments"]]
    runpy.run_path(script, run_name="__main__")


def _tell(tells: int, known: frozenset[str]) -> None:
    with os.fdopen(tells, "w") as pipe:
        json.dump(sorted(sys.modules.keys() - known), pipe)


def _import_too(hears: int) -> None:
    """What a process had to import, so that the next one has it; one that was killed has told nothing."""
    with os.fdopen(hears) as pipe:
        names = json.loads(pipe.read() or "[]")
    for name in names:
        with suppress(Exception):  # parts of others that have no file of their own
            importlib.import_module(name)


if __name__ == "__main__":
    main()
