"""Image: what travels of it."""

import json

import pytest

from cloud.domain.image import Image
from tests.image.sample import image


def test_as_dict_is_json_and_from_dict_gives_an_equal_image() -> None:
    sample = image(status="active", size=3, checksum="ab", sha256="cd", tags=("a", "b"), is_protected=True)
    assert Image.from_dict(json.loads(json.dumps(sample.as_dict()))) == sample


@pytest.mark.parametrize(
    ("change", "error"),
    [({"surprise": 1}, TypeError), ({"created_at": "yesterday"}, ValueError), ({"created_at": None}, TypeError)],
)
def test_what_is_no_image_is_refused(change: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        Image.from_dict(image().as_dict() | change)
