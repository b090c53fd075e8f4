"""Where the process of a statement starts: with what has to be there before anything starts a thread."""

import sys

from cloud.logs.query.sql.confinement import Confinement, end_with_parent


def main() -> None:
    end_with_parent()
    confinement = Confinement()
    confinement.begin()
    load_without_numpy()
    from cloud.logs.query.sql.process import run  # what it imports starts threads

    run(confinement)


def load_without_numpy() -> None:
    """Arrow does without it, and it would be 40 % of the time that a process takes to start."""
    sys.modules["numpy"] = None  # type: ignore[assignment]


if __name__ == "__main__":
    main()
