"""YAML with the line of every value, so that an error can say where."""

from __future__ import annotations

from typing import Any

import yaml

Path = tuple[str | int, ...]
MAX_BYTES = 5_000_000
MAX_NODES = 300_000
MAX_DEPTH = 50
MAX_SCALAR = 10_000
"""Of one value, in characters: a number of many takes long to be made."""


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

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*path, i)) for i, child in enumerate(node.value)]
        try:
            return self._scalars.construct_object(node)
        except yaml.YAMLError as error:
            raise YamlError(f"expected a plain value: {error}", line) from error
        except (ValueError, OverflowError) as error:
            told = "expected a plain value; text that looks like a date or a number needs quotes"
            raise YamlError(told, line) from error

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, child in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlError("expected text as a key", key_node.start_mark.line + 1)
            key = str(key_node.value)
            here = (*path, key)
            if key in found:
                self.repeated.append((here, key_node.start_mark.line + 1))
                continue
            self.lines[here] = key_node.start_mark.line + 1
            found[key] = self.value(child, here)
        return found


def _refuse(text: str) -> None:
    """Raises YamlError for what no plant file needs, before anything is built of it."""
    depth = 0
    event: Any
    for nodes, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        unused = None
        if isinstance(event, yaml.AliasEvent):
            unused = "aliases (*name) are not used here"
        elif getattr(event, "tag", None) is not None:
            # With a tag, what a scalar is no longer follows from how it looks.
            unused = "tags (!name) are not used here"
        elif depth > MAX_DEPTH:
            # The parser's time grows with the square of the depth.
            unused = "nested too deep"
        elif nodes > MAX_NODES:
            unused = f"more than {MAX_NODES} values"
        elif isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_SCALAR:
            unused = f"expected at most {MAX_SCALAR} characters in one value"
        if unused:
            raise YamlError(unused, event.start_mark.line + 1)


def load_with_lines(text: str | bytes) -> tuple[Any, dict[Path, int], list[tuple[Path, int]]]:
    """The document, the line of every path in it, and the keys that stand there twice.

    Raises YamlError for what is not one YAML document of plain values.
    """
    if isinstance(text, bytes) or len(text) > MAX_BYTES:
        raise YamlError(f"expected at most {MAX_BYTES} characters", 1)
    try:
        _refuse(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(f"not YAML: {error.problem}", mark.line + 1 if mark else 1) from error
    except yaml.YAMLError as error:
        raise YamlError(f"not YAML: {error}", 1) from error
    if node is None:
        raise YamlError("the file is empty", 1)
    walk = _Walk()
    return walk.value(node, ()), walk.lines, walk.repeated
