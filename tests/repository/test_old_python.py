"""What must run on Debian 12's own Python, which is 3.11.2."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
POSSESSIVE_OR_ATOMIC = re.compile(r"(?<!\\)[*+?}]\+|\(\?>")


def test_no_pattern_of_re_is_possessive_since_python_before_3_11_5_matches_those_wrongly() -> None:
    found = []
    for path in [*ROOT.glob("cloud/*/**/*.py"), *ROOT.glob("logging/**/*.py")]:
        tree = ast.parse(path.read_text())
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        if "re" not in imported:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and POSSESSIVE_OR_ATOMIC.search(node.value)
        ]
    assert found == []
