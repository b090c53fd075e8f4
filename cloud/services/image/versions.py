"""The list of versions, by which clients find out what to speak."""

from typing import Any

VERSIONS = (
    ("v2.2", "CURRENT", "/v2/"),
    ("v2.1", "SUPPORTED", "/v2/"),
    ("v2.0", "SUPPORTED", "/v2/"),
    ("v1.1", "SUPPORTED", "/v1/"),
    ("v1.0", "SUPPORTED", "/v1/"),
)
PATHS = ("/", "/versions", "/v1", "/v1/", "/v2", "/v2/")
"""Where it is shown, to anybody."""


def versions_document(base_url: str) -> dict[str, Any]:
    """The list, for a service that the client reaches under `base_url`."""
    base_url = base_url.rstrip("/")
    return {
        "versions": [
            {"id": version, "status": status, "links": [{"rel": "self", "href": f"{base_url}{path}"}]}
            for version, status, path in VERSIONS
        ]
    }
