"""What is asked to change in an image -> the image, changed. Nothing here knows who asks, or over which API."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cloud.domain.image import Image
from cloud.errors import QuotaError

MAX_PROPERTIES = 64
"""In v1 each is a header of its own, and Python's HTTP client takes 100 of these."""
MAX_PROPERTIES_BYTES = 16 << 10
MAX_TAGS = 64


@dataclass(frozen=True, slots=True)
class Change:
    """Values of Image's fields, all checked, and properties to set. Nothing at all by default."""

    attributes: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    purges: bool = False
    """Whether properties that are not set go."""

    def applied_to(self, image: Image) -> Image:
        """QuotaError for more tags or properties than an image has."""
        properties = {**({} if self.purges else image.properties), **self.properties}
        changed = replace(image, **self.attributes, properties=properties)
        if len(properties) > MAX_PROPERTIES:
            raise QuotaError(f"cannot change image {image.id}: more than {MAX_PROPERTIES} properties")
        if sum(len(name.encode()) + len(value.encode()) for name, value in properties.items()) > MAX_PROPERTIES_BYTES:
            raise QuotaError(
                f"cannot change image {image.id}: its properties take more than {MAX_PROPERTIES_BYTES} bytes"
            )
        if len(changed.tags) > MAX_TAGS:
            raise QuotaError(f"cannot change image {image.id}: more than {MAX_TAGS} tags")
        return changed
