"""What is wanted of a host for a move, as it is known from the database."""

from cloud.domain.host import BuildRequest
from cloud.domain.instance import Instance
from cloud.domain.migration import Migration
from cloud.domain.system_metadata import image_properties_of, min_disk_gb_of, min_ram_mb_of


def request_of(migration: Migration, instance: Instance) -> BuildRequest:
    """Of a migration as the API has entered it."""
    options = migration.options
    host = options.get("host")
    is_forced = bool(options.get("is_forced"))
    return BuildRequest(
        instance_uuid=instance.uuid,
        project_id=instance.project_id,
        flavor=migration.new_flavor,
        image_id=instance.image_id,
        image_properties=image_properties_of(instance),
        min_disk_gb=min_disk_gb_of(instance),
        min_ram_mb=min_ram_mb_of(instance),
        availability_zone=instance.availability_zone,
        forced_host=host if is_forced else None,
        requested_host=None if is_forced else host,
        ignored_hosts=() if options.get("may_stay") else (migration.source_compute,),
    )
