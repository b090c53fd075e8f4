"""What nova-network logs."""

from tests.services.conftest import lines

__all__ = ["lines"]
