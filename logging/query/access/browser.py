"""What browsers and answers tell each other, so that no page of another site asks in the name of who looks at it."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Send

_OWN_SITES = frozenset({"same-origin", "none"})
"""Of Sec-Fetch-Site: our pages, and the address bar. Another port of this host is another site here."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def is_of_another_site(headers: Headers) -> bool:
    """Whether a browser says that another site's page asks; what is no browser says nothing of it.

    Where nobody is asked who he is, this and the names that are answered to keep such pages out.
    """
    if headers.get("sec-fetch-site", "none") not in _OWN_SITES:
        return True
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc != headers.get("host")
    except ValueError:
        return True


def guarded(send: Send) -> Send:
    """`send`, with what keeps an answer from being stored, shown elsewhere, or taken for markup."""

    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope={"headers": list(message.get("headers", ()))})
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            message = {**message, "headers": headers.raw}
        await send(message)

    return send_guarded
