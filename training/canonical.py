"""One order and one set of names for an ONNX graph, so that equal models have equal hashes.

The exporter names and orders nodes differently each time; a package's identity is its bytes.
"""

from __future__ import annotations

from typing import Any


def canonical(graph: Any) -> None:
    """Order nodes and initializers by how the outputs reach them, inputs first to last, and name
    all but the graph's own inputs and outputs after that order. In place."""
    nodes = _reached(graph)
    constants = {one.name: one for one in graph.initializer}
    names = {"": ""} | {value.name: value.name for value in (*graph.input, *graph.output)}
    used: list[Any] = []
    for number, node in enumerate(nodes):
        node.name = f"{node.op_type}_{number}"
        for name in node.input:
            if name in constants and name not in names:
                names[name] = f"constant_{len(used)}"
                used.append(constants[name])
        for place, name in enumerate(node.output):
            names.setdefault(name, f"value_{number}_{place}")
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for one in used:
        one.name = names[one.name]
    # Copies: clearing a repeated field frees what it holds.
    nodes, used = [_copy(node) for node in nodes], [_copy(one) for one in used]
    for field, content in (("node", nodes), ("initializer", used), ("value_info", [])):
        graph.ClearField(field)
        getattr(graph, field).extend(content)


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _reached(graph: Any) -> list[Any]:
    """The nodes that the outputs need, each after those that it needs."""
    makers = {name: node for node in graph.node for name in node.output if name}
    order: list[Any] = []
    seen: set[int] = set()
    stack = [(makers[value.name], False) for value in reversed(graph.output)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((makers[name], False) for name in reversed(node.input) if name in makers)
    return order
