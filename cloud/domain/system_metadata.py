"""What servers have beyond an instance's columns, and where its system metadata keeps it."""

import json
from collections.abc import Iterable, Mapping

from cloud.domain.image import Image
from cloud.domain.instance import Instance

_DESCRIPTION = "description"
_DISK_CONFIG = "disk_config"
_TAGS = "tags"
INJECTED_FILES = "injected_files"
_IMAGE_PREFIX = "image_"
_OF_EVERY_IMAGE = frozenset({"min_disk", "min_ram", "disk_format", "container_format"})
_MANUAL = "MANUAL"


def description_of(instance: Instance) -> str | None:
    """None where there is none."""
    return instance.system_metadata.get(_DESCRIPTION)


def disk_config_of(instance: Instance) -> str:
    """AUTO or MANUAL."""
    return instance.system_metadata.get(_DISK_CONFIG, _MANUAL)


def tags_of(instance: Instance) -> tuple[str, ...]:
    """In alphabetical order."""
    return tuple(json.loads(instance.system_metadata.get(_TAGS, "[]")))


def image_properties_of(instance: Instance) -> dict[str, str]:
    """What was said of the image that it was made from, without what each image has."""
    return {
        key.removeprefix(_IMAGE_PREFIX): value
        for key, value in instance.system_metadata.items()
        if key.startswith(_IMAGE_PREFIX) and key.removeprefix(_IMAGE_PREFIX) not in _OF_EVERY_IMAGE
    }


def min_disk_gb_of(instance: Instance) -> int:
    """What its image needs at least, as that was said of it; 0 where nothing was."""
    return _number(instance.system_metadata.get(f"{_IMAGE_PREFIX}min_disk"))


def min_ram_mb_of(instance: Instance) -> int:
    return _number(instance.system_metadata.get(f"{_IMAGE_PREFIX}min_ram"))


def with_description(values: Mapping[str, str], description: str | None) -> dict[str, str]:
    """`values` with another description; None takes it away."""
    others = {key: value for key, value in values.items() if key != _DESCRIPTION}
    return others if description is None else {**others, _DESCRIPTION: description}


def with_disk_config(values: Mapping[str, str], disk_config: str) -> dict[str, str]:
    return {**values, _DISK_CONFIG: disk_config}


def with_tags(values: Mapping[str, str], tags: Iterable[str]) -> dict[str, str]:
    return {**values, _TAGS: json.dumps(sorted(set(tags)), ensure_ascii=False)}


def with_image(values: Mapping[str, str], image: Image) -> dict[str, str]:
    """`values` with what is to be known of `image` as long as the instance lives, instead of another image's."""
    others = {key: value for key, value in values.items() if not key.startswith(_IMAGE_PREFIX)}
    known = {
        "min_disk": str(image.min_disk_gb),
        "min_ram": str(image.min_ram_mb),
        "disk_format": image.disk_format or "",
        "container_format": image.container_format or "",
        **image.properties,
    }
    return others | {f"{_IMAGE_PREFIX}{key}": value for key, value in known.items()}


def with_files(values: Mapping[str, str], files: Mapping[str, str]) -> dict[str, str]:
    """`values` with what is to be written into the instance's disk: base64 by path."""
    others = {key: value for key, value in values.items() if key != INJECTED_FILES}
    return {**others, INJECTED_FILES: json.dumps(dict(files), ensure_ascii=False)} if files else others


def _number(text: str | None) -> int:
    """0 for what is none: properties of images may have any name, and say anything."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else 0
