"""Refuses a wheel without the web UI: only a checkout can build that."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WheelHook(BuildHookInterface[Any]):
    """An editable install serves what is in the checkout, and says so where nothing is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - as hatchling calls it
        if version != "editable" and not (Path(self.root) / "dashboards" / "dist" / "index.html").exists():
            raise FileNotFoundError("cannot build a wheel: the web UI is not built; run make ui")
