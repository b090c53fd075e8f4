"""What operators' own clients do with this cloud, and print: sessions at a shell, kept as they went."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.up.machine import Machine
from tests.clients.site import mask_of, running_cloud, shell_of
from tests.clients.transcript import parse, play
from tests.clients.venv import CLIENTS

pytestmark = pytest.mark.server

TRANSCRIPTS = Path(__file__).parent / "transcripts"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with running_cloud(tmp_path_factory.mktemp("c")) as machine:
        yield machine


@pytest.mark.parametrize("client", CLIENTS)
def test_session_goes_as_it_is_written(client: str, machine: Machine, tmp_path: Path) -> None:
    steps = parse((TRANSCRIPTS / f"{client}.txt").read_text())
    assert len(steps) > 10
    for written, now in play(steps, shell_of(machine, client, tmp_path), mask_of(machine)):
        assert now == written, f"in {client}.txt"


def test_each_client_has_a_session() -> None:
    assert {path.stem for path in TRANSCRIPTS.glob("*.txt")} == set(CLIENTS)
