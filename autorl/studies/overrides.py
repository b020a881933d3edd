"""Overrides: ``a.b=value`` on the command line, ``{"a.b": value}`` in Python. They change the nodes, before anything is checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from autorl.studies.convert import arms, child_type, from_python, model_of
from autorl.studies.positions import MappingNode, Node, ScalarNode, SequenceNode, ValueNode, read
from autorl.studies.problems import Path, Position, Problem, SpecificationError, shown

Overrides = Mapping[str, Any] | Iterable[str]


def apply(root: Node, schema: Any, overrides: Overrides) -> tuple[Node, list[Problem]]:
    """Return ``root`` with ``overrides`` in place, in their order, and the problems met.

    An override assigns: whatever stood there is replaced, and what is missing on the way is made. A shorthand on the way is written
    out first: after ``learner: ppo``, ``learner.hyperparameters.gamma=0.9`` keeps the algorithm. In a list, a position is a name:
    ``environment.0.id``. In text, a value that starts with ``[``, ``{`` or a quote is YAML; anything else is one plain scalar.

    Args:
        root: What a file or a mapping gave.
        schema: Type of ``root``.
        overrides: ``["a.b=value", ...]``, or a mapping of paths to values of their type.
    """
    problems: list[Problem] = []
    if isinstance(overrides, str):
        overrides = [overrides]
    pairs: Iterable[tuple[Any, Any]] = (
        overrides.items() if isinstance(overrides, Mapping) else ((o, None) for o in overrides)
    )
    for path_or_text, value in pairs:
        parsed = (
            _typed(path_or_text, value, problems)
            if isinstance(overrides, Mapping)
            else _written(path_or_text, problems)
        )
        if parsed is not None:
            path, node = parsed
            root = _assign(root, schema, path, node, problems)
    return root, problems


def _typed(dotted: Any, value: Any, problems: list[Problem]) -> tuple[Path, Node] | None:
    """Return the path and the node of an override given in Python."""
    source = Position(f"<override {_short(str(dotted))}={shown(value)}>")
    path = _path(dotted, source, problems)
    if path is None:
        return None
    return path, from_python(value, source, problems, path)


def _written(text: Any, problems: list[Problem]) -> tuple[Path, Node] | None:
    """Return the path and the node of an override given as text."""
    source = Position(f"<override {_short(str(text))}>")
    if not isinstance(text, str) or "=" not in text:
        message = f"expected field=value, such as budget.trainings=64, got {shown(text)}"
        problems.append(Problem.at(source, (), message, text))
        return None
    dotted, _, written = text.partition("=")
    path, written = _path(dotted.strip(), source, problems), written.strip()
    if path is None:
        return None
    if not written.startswith(("[", "{", '"', "'")):
        return path, ScalarNode(source, written, plain=True)
    try:
        node, found = read(written, source)
    except SpecificationError as error:
        found, node = list(error.problems), None
    problems += [
        Problem.at(source, (*path, *p.field.split(".")) if p.field else path, p.message, written) for p in found
    ]
    return None if node is None else (path, node)


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _path(dotted: Any, source: Position, problems: list[Problem]) -> Path | None:
    """Return the names in ``a.b.0``, or note that it has none."""
    parts = dotted.split(".") if isinstance(dotted, str) else [""]
    if not all(parts) or len(parts) > 20:
        problems.append(
            Problem.at(source, (), f"expected a field such as budget.trainings, got {shown(dotted)}", dotted)
        )
        return None
    return tuple(int(part) if part.isascii() and part.isdigit() and len(part) < 6 else part for part in parts)


def _assign(node: Node, schema: Any, path: Path, new: Node, problems: list[Problem], done: Path = ()) -> Node:
    """Return ``node`` with ``new`` at ``path`` below it."""
    if not path:
        return new
    key, rest = path[0], path[1:]
    if _is_several(schema) and key == 0 and not isinstance(node, SequenceNode):
        return _assign(node, child_type(schema, 0), rest, new, problems, (*done, key))  # one, written without its list
    node = _opened(node, schema, new.position)
    deeper = child_type(schema, key)
    if isinstance(node, SequenceNode):
        if not isinstance(key, int) or key >= len(node.items):
            _refuse(
                new, (*done, *path), f"a list of {len(node.items)} is there; name one by its position, from 0", problems
            )
            return node
        item = _assign(node.items[key], deeper, rest, new, problems, (*done, key))
        return SequenceNode(node.position, (*node.items[:key], item, *node.items[key + 1 :]))
    if not isinstance(node, MappingNode):
        message = f"{shown(node.text if isinstance(node, ScalarNode) else node.value)} is there, which has no fields"
        _refuse(new, (*done, *path), message, problems)
        return node
    name = str(key)
    old = node.entries.get(name) or ScalarNode(new.position, "", plain=True)
    item = _assign(old, deeper, rest, new, problems, (*done, key))
    keys = {**node.keys, name: new.position if name not in node.keys or not rest else node.keys[name]}
    return MappingNode(node.position, {**node.entries, name: item}, keys)


def _opened(node: Node, schema: Any, position: Position) -> Node:
    """Return ``node`` ready to be assigned into: nothing becomes an empty mapping, a shorthand is written out."""
    if _is_nothing(node):
        return MappingNode(position, {}, {})
    model = model_of(schema)
    shorthand = getattr(model, "shorthand", None)
    if shorthand is not None and isinstance(node, ScalarNode | ValueNode):
        return MappingNode(node.position, {shorthand: node}, {shorthand: node.position})
    return node


def _is_nothing(node: Node) -> TypeGuard[ScalarNode | ValueNode]:
    if isinstance(node, ScalarNode):
        return node.plain and node.text in ("", "~", "null")
    return isinstance(node, ValueNode) and node.value is None


def _is_several(schema: Any) -> bool:
    """Return whether a field takes one or several of a model that has a shorthand."""
    return getattr(model_of(schema), "shorthand", None) is not None and any(
        arm is not model_of(schema) for arm in arms(schema)
    )


def _refuse(new: Node, path: Path, message: str, problems: list[Problem]) -> None:
    value = new.text if isinstance(new, ScalarNode) else getattr(new, "value", None)
    problems.append(Problem.at(new.position, path, message, value))
