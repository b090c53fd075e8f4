"""The clients that operators have, each in a virtual environment of its own, built when it is first needed."""

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements"
CLIENTS = tuple(sorted(path.stem for path in REQUIREMENTS.glob("*.txt")))
PROGRAMS = ("nova", "openstack", "glance")
INSTALL_TIMEOUT_S = 600
_GETARGSPEC = """\
# What novaclient of 2014 needs of a newer Python: a function that became another one in Python 3.11.
import inspect, sys
inspect.getargspec = inspect.getfullargspec
from novaclient.shell import OpenStackComputeShell
if __name__ == "__main__":
    try:
        OpenStackComputeShell().main(sys.argv[1:])
    except Exception as error:
        sys.exit("ERROR: %s" % error)
"""


def scripts_of(client: str) -> Sequence[Path]:
    """The programs of `client`, beside its own python; they are kept between runs, by what is to be installed."""
    requirements = REQUIREMENTS / f"{client}.txt"
    key = hashlib.sha256(requirements.read_bytes() + (sys.version + _GETARGSPEC).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cloud" / "clients" / f"{client}-{key}"
    done = cache / "installed"
    if not done.exists():
        venv.create(cache, with_pip=True, clear=True)
        pip: list[str | Path] = [
            cache / "bin/python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        if client == "novaclient-2.17.0":  # sdists of that age are built with the setuptools of the environment
            builders = ["setuptools==65.5.0", "wheel==0.48.0", "packaging==26.4", "pbr==0.11.1"]
            subprocess.run([*pip, *builders], check=True, timeout=INSTALL_TIMEOUT_S)
        isolated = ["--no-build-isolation"] if client == "novaclient-2.17.0" else []
        subprocess.run([*pip, *isolated, "-r", requirements], check=True, timeout=INSTALL_TIMEOUT_S)
        if client == "novaclient-2.17.0":
            script = cache / "bin" / "nova"
            script.write_text(f"#!{cache / 'bin/python'}\n{_GETARGSPEC}")
            script.chmod(0o755)
        done.touch()
    return [script for name in PROGRAMS if (script := cache / "bin" / name).exists()]
