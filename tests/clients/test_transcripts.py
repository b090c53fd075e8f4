"""What operators' own clients do with this cloud, and print: sessions at a shell, kept as they went."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.site import Site, running_site
from tests.clients.transcript import parse, play
from tests.clients.venv import CLIENTS

pytestmark = pytest.mark.server

TRANSCRIPTS = Path(__file__).parent / "transcripts"
SESSIONS = sorted(str(path.relative_to(TRANSCRIPTS).with_suffix("")) for path in TRANSCRIPTS.glob("*/*.txt"))
MIGRATING = ("novaclient-2.17.0", "novaclient-6.0.2")
"""Those with which the guide's procedures are gone through, too."""


def file_of(session: str) -> Path:
    return TRANSCRIPTS / f"{session}.txt"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running_site(CLIENTS) as site:
        yield site


@pytest.mark.parametrize("session", SESSIONS)
def test_session_goes_as_it_is_written(session: str, site: Site, tmp_path: Path) -> None:
    file = file_of(session)
    steps = parse(file.read_text())
    assert len(steps) > 10
    for written, now in play(steps, site.shell(file.parent.name, tmp_path), site.mask()):
        assert now == written, f"in {session}.txt"


def test_each_client_has_its_sessions() -> None:
    guide = {f"{client}/{session}" for client in MIGRATING for session in ("migrate", "recover")}
    assert set(SESSIONS) == {f"{client}/boot" for client in CLIENTS} | guide
