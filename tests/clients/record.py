"""Writes the transcripts anew: the same commands, with what they print now. Read the difference before you keep it.

python -m tests.clients.record [CLIENT/SESSION]...
"""

import argparse
import tempfile
from pathlib import Path

from tests.clients.site import running_site
from tests.clients.test_transcripts import SESSIONS, file_of
from tests.clients.transcript import parse, play, render


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", nargs="*", default=SESSIONS, metavar="CLIENT/SESSION")
    sessions = parser.parse_args().sessions
    clients = sorted({file_of(session).parent.name for session in sessions})
    with running_site(clients) as site, tempfile.TemporaryDirectory() as directory:
        for number, session in enumerate(sessions):
            home = Path(directory) / str(number)
            home.mkdir()
            file = file_of(session)
            steps = parse(file.read_text())
            done = []
            for _, now in play(steps, site.shell(file.parent.name, home), site.mask()):
                done.append(now)
                file.write_text(render([*done, *steps[len(done) :]]))


if __name__ == "__main__":
    main()
