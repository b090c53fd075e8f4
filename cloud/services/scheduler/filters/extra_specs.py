"""Whether a value is what an extra spec of a flavor asks for, in nova's little language."""

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType

_Comparison = Callable[[float, float], bool]
_NUMBERS: Mapping[str, _Comparison] = MappingProxyType(
    {
        "=": operator.ge,  # nova's: at least
        "==": operator.eq,
        "!=": operator.ne,
        ">=": operator.ge,
        "<=": operator.le,
    }
)
_TEXTS: Mapping[str, Callable[[str, str], bool]] = MappingProxyType(
    {
        "s==": operator.eq,
        "s!=": operator.ne,
        "s<": operator.lt,
        "s<=": operator.le,
        "s>": operator.gt,
        "s>=": operator.ge,
        "<in>": operator.contains,
    }
)


def is_met(wanted: str, value: str) -> bool:
    """Whether `value` fits `wanted`: an operator with an operand, `<or> A <or> B`, `<all-in> A B`, or just a text.

    A number that is none fits nothing.
    """
    first, *operands = wanted.split() or [""]
    if first == "<or>":
        return value in operands[::2]  # every second word is another <or>
    if first == "<all-in>":
        return bool(operands) and all(word in value for word in operands)
    if first in _TEXTS:
        return bool(operands) and _TEXTS[first](value, operands[0])
    if first in _NUMBERS:
        try:
            return bool(operands) and _NUMBERS[first](float(value), float(operands[0]))
        except ValueError:
            return False
    return value == wanted
