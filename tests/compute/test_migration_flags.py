"""The flags of nova.conf, as the admin guide has them."""

from pathlib import Path

import pytest

from cloud.services.compute.live_migrations import TransferModes
from cloud.services.compute.migration_flags import MIGRATION_FLAG_OPTIONS, configured_modes
from cloud.services.configuration import ConfigurationError, read_configuration

GUIDE = "VIR_MIGRATE_UNDEFINE_SOURCE,VIR_MIGRATE_PEER2PEER,VIR_MIGRATE_LIVE"


def modes_of(directory: Path, text: str) -> TransferModes:
    file = directory / "nova.conf"
    file.write_text(text)
    return configured_modes(read_configuration([file], host="a", groups={"DEFAULT": MIGRATION_FLAG_OPTIONS}))


@pytest.mark.parametrize(
    ("text", "modes"),
    [
        ("[DEFAULT]\n", TransferModes(is_live=False, is_block_live=False)),
        (f"[DEFAULT]\nlive_migration_flag = {GUIDE}\n", TransferModes(is_live=True, is_block_live=False)),
        (f"[DEFAULT]\nblock_migration_flag = {GUIDE}\n", TransferModes(is_live=False, is_block_live=True)),
        (
            "[DEFAULT]\nlive_migration_flag = VIR_MIGRATE_UNDEFINE_SOURCE, VIR_MIGRATE_PEER2PEER\n",
            TransferModes(is_live=False, is_block_live=False),
        ),
        (f"[libvirt]\nlive_migration_flag = {GUIDE}\n", TransferModes(is_live=True, is_block_live=False)),
    ],
)
def test_instances_run_meanwhile_only_if_the_flag_says_so(tmp_path: Path, text: str, modes: TransferModes) -> None:
    assert modes_of(tmp_path, text) == modes


def test_a_flag_that_libvirt_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="VIR_MIGRATE_ALIVE"):
        modes_of(tmp_path, "[DEFAULT]\nlive_migration_flag = VIR_MIGRATE_ALIVE\n")
