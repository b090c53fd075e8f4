"""The image service on behalf of whom an openrc is for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from cloud.services.identity.client import IdentityClient
from cloud.services.image.client import ImageClient


@contextmanager
def image_client(openrc: Mapping[str, str], image_url: str) -> Iterator[ImageClient]:
    """A client that signs in as `openrc` says, at its first request; KeyError for a variable that is not there."""
    url = openrc["OS_AUTH_URL"].removesuffix("/v2.0")
    identity = IdentityClient(url, openrc["OS_USERNAME"], openrc["OS_PASSWORD"], openrc["OS_TENANT_NAME"])
    images = ImageClient(image_url, identity.token)
    try:
        yield images
    finally:
        images.close()
        identity.close()
