"""The catalog: where each service of the cloud is found, for a project."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_NAMESPACE = uuid.UUID("7b0d3f0e-8a0b-4d0c-9d2b-5f6d3c2a1e90")
_PROJECT_ID = ("%(tenant_id)s", "%(project_id)s")
INTERFACES = ("public", "internal", "admin")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One service; `url` has the project's id where it says %(tenant_id)s."""

    type: str
    name: str
    url: str

    @property
    def service_id(self) -> str:
        return uuid.uuid5(_NAMESPACE, self.type).hex

    def id(self, region: str, interface: str) -> str:
        """The same at each start, so that clients may remember it."""
        return uuid.uuid5(_NAMESPACE, f"{region}/{self.type}/{interface}").hex


class Catalog:
    """All three interfaces of a service have the same URL."""

    def __init__(self, region: str, endpoints: Sequence[Endpoint], public_url: Callable[[], str]) -> None:
        """`public_url` gives that of the identity service itself, without a version."""
        self.region = region
        self._endpoints = tuple(endpoint for endpoint in endpoints if endpoint.url)
        self._public_url = public_url

    @property
    def public_url(self) -> str:
        return self._public_url().rstrip("/")

    def endpoints(self, version: str) -> tuple[Endpoint, ...]:
        """The services, identity's own URL with `version` (v2.0 or v3), which the client speaks already."""
        return (*self._endpoints, Endpoint("identity", "keystone", f"{self.public_url}/{version}"))

    def v2(self, project_id: str | None) -> list[dict[str, Any]]:
        """As v2.0 shows it; empty without a project."""
        if project_id is None:
            return []
        catalog = []
        for endpoint in self.endpoints("v2.0"):
            url = _filled(endpoint.url, project_id)
            urls = {"publicURL": url, "internalURL": url, "adminURL": url}
            # `openstack catalog list` of today shows a v2.0 catalog by v3's names.
            entry = {"region": self.region, "id": endpoint.id(self.region, "public"), **urls, "interface": "public"}
            entry["url"] = url
            catalog.append({"type": endpoint.type, "name": endpoint.name, "endpoints": [entry], "endpoints_links": []})
        return catalog

    def v3(self, project_id: str | None) -> list[dict[str, Any]]:
        """As v3 shows it; empty without a project."""
        if project_id is None:
            return []
        return [
            {
                "id": endpoint.service_id,
                "type": endpoint.type,
                "name": endpoint.name,
                "endpoints": [
                    {
                        "id": endpoint.id(self.region, interface),
                        "interface": interface,
                        "region": self.region,
                        "region_id": self.region,
                        "url": _filled(endpoint.url, project_id),
                    }
                    for interface in INTERFACES
                ],
            }
            for endpoint in self.endpoints("v3")
        ]


def _filled(url: str, project_id: str) -> str:
    for mark in _PROJECT_ID:
        url = url.replace(mark, project_id)
    return url
