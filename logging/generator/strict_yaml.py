"""YAML text -> plain data, where a key given twice is an error and every error names its line."""

from typing import Any

import yaml


class StrictYamlError(Exception):
    """What is wrong with the text; `line` counts from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def parse_yaml(text: str) -> object:
    """The data that `text` stands for, None for an empty document; StrictYamlError for anything else than YAML."""
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader, only stricter
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        raise StrictYamlError(mark.line + 1 if mark else 1, exc.problem or str(exc)) from exc
    except yaml.reader.ReaderError as exc:
        raise StrictYamlError(text.count("\n", 0, exc.position) + 1, exc.reason) from exc
    except (ValueError, RecursionError) as exc:  # an impossible date; brackets without end
        raise StrictYamlError(1, f"cannot be read: {exc}") from exc


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML lets the last of two equal keys win: a host that was copied and not renamed would vanish."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            identity = (key.tag, key.value)
            if identity in seen:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key.value!r}", key.start_mark)
            seen.add(identity)
        return super().construct_mapping(node, deep=deep)
