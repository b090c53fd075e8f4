"""What the services' code logs while it answers."""

from tests.services.conftest import lines

__all__ = ["lines"]
