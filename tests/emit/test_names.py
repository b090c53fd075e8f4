"""Modules speak under names that `[logger_nova] qualname = nova` rules."""

import pytest

from cloud.logs.emit.names import logger_name


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("cloud.services.compute.manager", "nova.compute.manager"),
        ("cloud.services.daemon", "nova.daemon"),
        ("cloud.rpc.client", "nova.rpc.client"),
        ("cloud.logs.collector.listener", "nova.logs.collector.listener"),
        ("__main__", "nova"),
        (None, "nova"),
        ("", "nova"),
        ("cloud", "nova"),
        ("cloud.services", "nova.services"),
        ("cloudy.weather", "cloudy.weather"),
        ("kombu.connection", "kombu.connection"),
        ("nova.compute", "nova.compute"),
    ],
)
def test_module_speaks_under_novas_name_and_a_foreign_one_under_its_own(module: str | None, name: str) -> None:
    assert logger_name(module) == name
