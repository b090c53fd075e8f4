"""nova-api, as the tests of its resources have it."""

from tests.api.conftest import clock, empty_database, site

__all__ = ["clock", "empty_database", "site"]
