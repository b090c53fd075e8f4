"""Writes the transcripts anew: the same commands, with what they print now. Read the difference before you keep it.

python -m tests.clients.record [CLIENT]...
"""

import argparse
import tempfile
from pathlib import Path

from tests.clients.site import mask_of, running_cloud, shell_of
from tests.clients.test_transcripts import TRANSCRIPTS
from tests.clients.transcript import parse, play, render
from tests.clients.venv import CLIENTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", nargs="*", default=CLIENTS, metavar="CLIENT")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="t-") as directory, running_cloud(Path(directory) / "c") as machine:
        for client in options.clients:
            home = Path(directory) / client
            home.mkdir()
            file = TRANSCRIPTS / f"{client}.txt"
            steps = play(parse(file.read_text()), shell_of(machine, client, home), mask_of(machine))
            file.write_text(render([now for _, now in steps]))


if __name__ == "__main__":
    main()
