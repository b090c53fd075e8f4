"""What a service imports to log: `logger` to speak, `request_context` to say for whom."""

from loguru import logger

from cloud.logs.emit.context import RequestContext, request_context

__all__ = ["RequestContext", "logger", "request_context"]
