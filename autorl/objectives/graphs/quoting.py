"""Quoting source: the definitions of a module that given names need, as text that stands alone."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterable
from types import ModuleType
from typing import Final

_OWN: Final = "autorl"


def quote(module: ModuleType, names: Iterable[str]) -> tuple[list[str], str]:
    """Return (import lines, source) that define ``names`` as ``module`` does, with all that they need in turn.

    What the module imports from other modules of ours is quoted too; other imports stay imports.
    """
    imports: set[str] = set()
    blocks: list[str] = []
    _collect(module, set(names), imports, blocks)
    return sorted(imports, key=lambda line: (line.startswith("from"), line)), "\n\n\n".join(blocks)


def _collect(module: ModuleType, wanted: set[str], imports: set[str], blocks: list[str]) -> None:
    source = inspect.getsource(module)
    body = ast.parse(source).body
    needed = _closure(body, wanted)
    own: list[str] = []
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            _import(statement, needed, imports, blocks)
        elif _defined(statement) & needed:
            own.append(_text(source, statement))
    blocks += own


def _import(statement: ast.Import | ast.ImportFrom, needed: set[str], imports: set[str], blocks: list[str]) -> None:
    used = [alias for alias in statement.names if (alias.asname or alias.name.partition(".")[0]) in needed]
    if not used:
        return
    if isinstance(statement, ast.ImportFrom) and (statement.module or "").partition(".")[0] == _OWN:
        _collect(importlib.import_module(statement.module or ""), {alias.name for alias in used}, imports, blocks)
        return
    for alias in used:
        name = alias.name if alias.asname is None else f"{alias.name} as {alias.asname}"
        imports.add(
            f"from {statement.module} import {name}" if isinstance(statement, ast.ImportFrom) else f"import {name}"
        )


def _closure(body: list[ast.stmt], wanted: set[str]) -> set[str]:
    """Return ``wanted`` and every name that its definitions read, directly or not."""
    needed = set(wanted)
    size = -1
    while len(needed) != size:
        size = len(needed)
        for statement in body:
            if _defined(statement) & needed:
                needed |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    return needed


def _defined(statement: ast.stmt) -> set[str]:
    """Return the names that a statement of a module defines, or completes (``bounded.defvjp(...)``)."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Assign):
        return {target.id for target in statement.targets if isinstance(target, ast.Name)} - {"__all__"}
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return {statement.target.id}
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        function = statement.value.func
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            return {function.value.id}
    return set()


def _text(source: str, statement: ast.stmt) -> str:
    """Return the lines of a statement, decorators included."""
    decorators = statement.decorator_list if isinstance(statement, ast.FunctionDef | ast.ClassDef) else []
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(source.splitlines()[first - 1 : statement.end_lineno])
