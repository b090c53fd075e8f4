"""Only hosts that can run the image: its architecture, hypervisor and mode, where its properties say such."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from cloud.domain.host import BuildRequest, ComputeNode, HostState

_ARCHITECTURES: Mapping[str, str] = MappingProxyType(
    {"amd64": "x86_64", "x64": "x86_64", "i386": "i686", "i486": "i686", "i586": "i686", "arm64": "aarch64"}
)
"""Other names for the same."""
_ALSO_RUNS: Mapping[str, str] = MappingProxyType({"x86_64": "i686"})
_SAME_HYPERVISOR: Mapping[str, str] = MappingProxyType({"kvm": "qemu", "xapi": "xen"})
"""libvirt reports QEMU for both: KVM is how QEMU runs where the processor helps."""
_SAME_MODE: Mapping[str, str] = MappingProxyType({"hv": "hvm", "pv": "xen"})
_MODES: Mapping[str, frozenset[str]] = MappingProxyType(
    {"xen": frozenset({"hvm", "xen"}), "lxc": frozenset({"exe"}), "uml": frozenset({"uml"})}
)
"""Of the hypervisors that do not have hvm alone."""
_COMPARISONS: Mapping[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = MappingProxyType(
    {
        "<": operator.lt,
        "<=": operator.le,
        "==": operator.eq,
        "!=": operator.ne,
        ">=": operator.ge,
        ">": operator.gt,
    }
)
_VERSION = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*([0-9]{1,9}(?:\.[0-9]{1,9}){0,2})\s*")


@dataclass(frozen=True, slots=True)
class ImagePropertiesFilter:
    """Each property has two names, that of 2014 first. A host that does not say its architecture runs none for sure."""

    name: ClassVar[str] = "ImagePropertiesFilter"

    def passes(self, host: HostState, request: BuildRequest) -> bool:
        properties, node = request.image_properties, host.node
        if not properties:
            return True
        return (
            _fits(_runs_architecture, node, properties, "architecture", "hw_architecture")
            and _fits(_is_hypervisor, node, properties, "hypervisor_type", "img_hv_type")
            and _fits(_has_mode, node, properties, "vm_mode", "hw_vm_mode")
            and _fits(_has_version, node, properties, "hypervisor_version_requires", "img_hv_requested_version")
        )


def _fits(
    check: Callable[[ComputeNode, str], bool], node: ComputeNode, properties: Mapping[str, str], *names: str
) -> bool:
    return all(check(node, properties[name]) for name in names if properties.get(name))


def _runs_architecture(node: ComputeNode, wanted: str) -> bool:
    has = _one_name(str(node.cpu_info.get("arch", "")), _ARCHITECTURES)
    return bool(has) and _one_name(wanted, _ARCHITECTURES) in (has, _ALSO_RUNS.get(has))


def _is_hypervisor(node: ComputeNode, wanted: str) -> bool:
    return _one_name(wanted, _SAME_HYPERVISOR) == _one_name(node.hypervisor_type, _SAME_HYPERVISOR)


def _has_mode(node: ComputeNode, wanted: str) -> bool:
    modes = _MODES.get(_one_name(node.hypervisor_type, _SAME_HYPERVISOR), frozenset({"hvm"}))
    return _one_name(wanted, _SAME_MODE) in modes


def _has_version(node: ComputeNode, wanted: str) -> bool:
    """Whether it fits all of `>=1.2, <2`; a requirement that cannot be read is one that nobody meets."""
    major_minor, micro = divmod(node.hypervisor_version, 1000)  # 1002003 is 1.2.3
    version = (*divmod(major_minor, 1000), micro)
    for part in wanted.split(","):
        match = _VERSION.fullmatch(part)
        if match is None:
            return False
        numbers = tuple(int(number) for number in match[2].split("."))
        if not _COMPARISONS[match[1]](version, (*numbers, 0, 0)[:3]):
            return False
    return True


def _one_name(name: str, same: Mapping[str, str]) -> str:
    name = name.strip().lower()
    return same.get(name, name)
