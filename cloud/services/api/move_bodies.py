"""What clients send about moves of servers, as pydantic models."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from cloud.services.api.body import Body, Flag, Since, Until
from cloud.services.api.hostname import HostName
from cloud.services.api.server_bodies import DiskConfig, FlavorRef, Password
from cloud.services.api.versions import V2, V2_14, V2_25, V2_29, V2_30


def _block_migration(value: bool | str, info: ValidationInfo) -> bool | str:
    if value == "auto" and info.context and info.context["version"] < V2_25:
        raise ValueError(f"auto is not known before version {V2_25}")
    return value


class MigrateLive(Body):
    host: HostName | None
    """None: the scheduler chooses."""
    block_migration: Annotated[Flag | Literal["auto"], AfterValidator(_block_migration)]
    disk_over_commit: Annotated[Flag, Until(V2_25)] = False
    force: Annotated[Flag, Since(V2_30)] = False


class Evacuate(Body):
    host: HostName | None = None
    on_shared_storage: Annotated[Flag, Until(V2_14)] = Field(False, alias="onSharedStorage")
    admin_pass: Password | None = Field(None, alias="adminPass")
    force: Annotated[Flag, Since(V2_29)] = False

    @model_validator(mode="after")
    def _names_a_host(self, info: ValidationInfo) -> Self:
        if self.host is None and info.context and info.context["version"] == V2:
            raise ValueError("host is needed before version 2.1")
        return self


class Resize(Body):
    flavor_ref: FlavorRef = Field(alias="flavorRef")
    disk_config: DiskConfig | None = Field(None, alias="OS-DCF:diskConfig")


class MigrationAction(Body):
    """What may be asked of a migration that runs."""

    force_complete: None
