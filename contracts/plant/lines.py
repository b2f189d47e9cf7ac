"""YAML with the line of every value, so that an error can say where."""

from __future__ import annotations

from typing import Any

import yaml

Path = tuple[str | int, ...]
MAX_BYTES = 5_000_000
MAX_NODES = 500_000


class YamlError(ValueError):
    """Not YAML, or YAML that no plant file needs."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


class _Walk:
    """Builds plain values from nodes; anchors and tags are refused: nothing is expanded."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.repeated: list[tuple[Path, int]] = []
        self._scalars = yaml.SafeLoader("")
        self._nodes = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise YamlError(f"more than {MAX_NODES} values", line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*path, i)) for i, child in enumerate(node.value)]
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise YamlError(f"expected a plain value: {error}", line) from error

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, child in node.value:
            key = str(key_node.value)
            here = (*path, key)
            if key in found:
                self.repeated.append((here, key_node.start_mark.line + 1))
                continue
            self.lines[here] = key_node.start_mark.line + 1
            found[key] = self.value(child, here)
        return found


def _refuse(event: Any) -> None:
    unused = None
    if isinstance(event, yaml.AliasEvent):
        unused = "aliases (*name)"
    elif getattr(event, "tag", None) is not None:
        # With a tag, what a scalar is no longer follows from how it looks.
        unused = "tags (!name)"
    if unused:
        raise YamlError(f"{unused} are not used here", event.start_mark.line + 1)


def load_with_lines(text: str) -> tuple[Any, dict[Path, int], list[tuple[Path, int]]]:
    """The document, the line of every path in it, and the keys that stand there twice.

    Raises YamlError for what is not one YAML document of plain values.
    """
    if len(text) > MAX_BYTES:
        raise YamlError(f"expected at most {MAX_BYTES} characters", 1)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            _refuse(event)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(f"not YAML: {error.problem}", mark.line + 1 if mark else 1) from error
    except yaml.YAMLError as error:
        raise YamlError(f"not YAML: {error}", 1) from error
    except RecursionError as error:
        raise YamlError("nested too deep", 1) from error
    if node is None:
        raise YamlError("the file is empty", 1)
    walk = _Walk()
    try:
        return walk.value(node, ()), walk.lines, walk.repeated
    except RecursionError as error:
        raise YamlError("nested too deep", 1) from error
