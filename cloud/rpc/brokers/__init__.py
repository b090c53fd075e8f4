"""What differs between the brokers: one file each, chosen by the URL's scheme."""

from cloud.rpc.brokers.broker import Broker, BusUrlError, GarbageError, one_line
from cloud.rpc.brokers.choice import broker_for

__all__ = ["Broker", "BusUrlError", "GarbageError", "broker_for", "one_line"]
