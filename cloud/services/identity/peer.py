"""Where a request comes from."""

from fastapi import Request


def peer_of(request: Request) -> str:
    """The address of the client, or of the proxy before it."""
    return request.client.host if request.client else "-"
