"""nova-api, as the tests of its resources have it."""

from tests.api.conftest import clock, site, stage

__all__ = ["clock", "site", "stage"]
