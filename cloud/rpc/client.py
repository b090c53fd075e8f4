"""Asks services over the bus: call waits for the reply, cast does not, fanout reaches all of a role."""

import time
import uuid
from collections.abc import Mapping
from typing import Any

from cloud.logs.emit import logger
from cloud.logs.emit.context import current_context
from cloud.logs.events import RPC_TIMEOUT
from cloud.rpc.envelope import Request
from cloud.rpc.errors import RpcTimeoutError
from cloud.rpc.publisher import Message, Publisher
from cloud.rpc.replies import Replies
from cloud.rpc.topology import EXCHANGE, Target, fanout_exchange

DEFAULT_TIMEOUT_S = 60.0
"""As rpc_response_timeout of nova.conf has it."""


class RpcClient:
    """One for a process; any thread may use it. The request context of the caller goes along with each message."""

    def __init__(self, publisher: Publisher, sender: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """`sender` is who asks, for the other side's log; `timeout_s` holds where nobody names another."""
        self._publisher = publisher
        self._sender = sender
        self._timeout_s = timeout_s
        self._replies = Replies(publisher.broker)

    def call(
        self, target: Target, method: str, arguments: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> Any:
        """What `method` of `target` returns, which JSON holds; its error is raised as itself.

        RpcTimeoutError after `timeout_s`: the outcome is unknown. NoSuchTargetError or BusUnavailableError: it was
        not asked, or as good as not. RemoteError: it failed in a way that has no class here.
        """
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        deadline_s = time.monotonic() + timeout_s
        request = self._request(method, arguments, reply_to=self._replies.queue, timeout_s=timeout_s)
        with self._replies.expect(request.id, deadline_s=deadline_s) as future:
            self._publisher.send(
                Message(request.encode(), EXCHANGE, target.routing_key, expiration_s=timeout_s), deadline_s=deadline_s
            )
            try:
                reply = future.result(max(0.0, deadline_s - time.monotonic()))
            except TimeoutError:
                logger.bind(event=RPC_TIMEOUT, target=str(target), method=method, timeout_s=timeout_s).warning(
                    "no reply in time"
                )
                raise RpcTimeoutError(f"cannot call {method} of {target}: no reply in {timeout_s:g} s") from None
        if reply.error is not None:
            raise reply.error
        return reply.result

    def cast(
        self, target: Target, method: str, arguments: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> None:
        """Ask without waiting for more than the broker's word that it has the message.

        It waits in the queue while nobody serves it. NoSuchTargetError and BusUnavailableError as in `call`.
        """
        message = Message(self._request(method, arguments).encode(), EXCHANGE, target.routing_key)
        self._publisher.send(message, deadline_s=time.monotonic() + (timeout_s or self._timeout_s))

    def fanout(
        self, role: str, method: str, arguments: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> None:
        """Ask every service of `role` that runs now; one that is just connecting anew may miss it."""
        body = self._request(method, arguments).encode()
        message = Message(body, fanout_exchange(role), "", must_arrive=False, is_kept=False)
        self._publisher.send(message, deadline_s=time.monotonic() + (timeout_s or self._timeout_s))

    def close(self) -> None:
        """Give up what waits for a reply."""
        self._replies.close()

    def _request(
        self,
        method: str,
        arguments: Mapping[str, Any] | None,
        *,
        reply_to: str | None = None,
        timeout_s: float | None = None,
    ) -> Request:
        return Request(
            id=uuid.uuid4().hex,
            method=method,
            arguments=arguments or {},
            sender=self._sender,
            context=current_context(),
            reply_to=reply_to,
            expires_at_s=None if timeout_s is None else time.time() + timeout_s,
        )
