"""Only hosts that the hint `query` describes, as in `[">=", "$free_ram_mb", 1024]`."""

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from cloud.domain.host import BuildRequest, ComputeNode, HostState

MAX_QUERY_LENGTH = 4096
MAX_DEPTH = 16

_FACTS: Mapping[str, Callable[[ComputeNode], object]] = MappingProxyType(
    {
        "free_ram_mb": lambda node: node.total.memory_mb - node.used.memory_mb,
        "total_usable_ram_mb": lambda node: node.total.memory_mb,
        "free_disk_mb": lambda node: 1024 * (node.total.disk_gb - node.used.disk_gb),
        "total_usable_disk_gb": lambda node: node.total.disk_gb,
        "vcpus_total": lambda node: node.total.vcpus,
        "vcpus_used": lambda node: node.used.vcpus,
        "num_instances": lambda node: node.running_vms,
        "hypervisor_type": lambda node: node.hypervisor_type,
        "hypervisor_version": lambda node: node.hypervisor_version,
    }
)
"""What `$NAME` stands for. Not the host's name: who asks is not to learn which hosts there are."""
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "=": operator.eq,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
    }
)


@dataclass(frozen=True, slots=True)
class JsonFilter:
    """A query that cannot be read describes no host."""

    name: ClassVar[str] = "JsonFilter"

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        query = request.hints.get("query")
        if query is None:
            return True
        if not isinstance(query, str) or len(query) > MAX_QUERY_LENGTH:
            return False
        try:
            return bool(_value(json.loads(query), host.node, depth=0))
        except (ValueError, TypeError, KeyError, RecursionError):
            return False


def _value(term: object, node: ComputeNode, *, depth: int) -> Any:
    """What a number, a text, a `$NAME` or a list of an operator and its operands comes to; see _apply for errors."""
    if isinstance(term, str) and term.startswith("$"):
        return _FACTS[term[1:]](node)
    if not isinstance(term, list):
        return term
    if depth == MAX_DEPTH:
        raise ValueError(f"a query is nested {MAX_DEPTH} deep at the most")
    if not term:
        return True
    return _apply(term[0], [_value(operand, node, depth=depth + 1) for operand in term[1:]])


def _apply(name: object, operands: list[Any]) -> bool:
    """ValueError for what has no meaning, TypeError for what cannot be compared."""
    if name == "and":
        return all(operands)
    if name == "or":
        return any(operands)
    if name == "not":
        return not all(operands)
    if name not in {*_COMPARISONS, "in"} or len(operands) < 2:
        raise ValueError("unknown operator, or too few operands")
    first, *others = operands
    if name == "in":
        return first in others
    return all(_COMPARISONS[str(name)](first, other) for other in others)
