"""Rules that hold for every source file: nothing that runs data as code, and nothing too long to read at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "autorl").rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
LONGER: dict[str, str] = {}
"""Functions that may be longer, ``file:name`` to the reason."""

FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "breakpoint"}
FORBIDDEN_ATTRIBUTES = {
    "os.system",
    "os.popen",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.unsafe_load",
    "torch.load",
    "np.load",
    "numpy.load",
}
FORBIDDEN_KEYWORDS = {"allow_pickle": True, "shell": True, "weights_only": False}


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def unsafe(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, what) for everything in ``tree`` that could run data as code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            called = {f"{node.module}.{alias.name}" for alias in node.names} & FORBIDDEN_ATTRIBUTES
            yield from ((node.lineno, name) for name in called)
        else:
            names = []
        yield from ((node.lineno, name) for name in names if name.partition(".")[0] in FORBIDDEN_MODULES)
        if isinstance(node, ast.Name) and node.id in FORBIDDEN_CALLS:
            yield node.lineno, node.id
        if isinstance(node, ast.Attribute) and dotted(node) in FORBIDDEN_ATTRIBUTES:
            yield node.lineno, dotted(node)
        if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
            value = node.value.value
            if isinstance(value, bool) and FORBIDDEN_KEYWORDS.get(node.arg or "") is value:
                yield node.value.lineno, f"{node.arg}={value}"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import cloudpickle.cloudpickle",
        "eval('1')",
        "run = exec",
        "compile('1', '', 'eval')",
        "os.system('ls')",
        "from os import system",
        "yaml.load(text)",
        "torch.load(path)",
        "np.load(path)",
        "read(path, allow_pickle=True)",
        "subprocess.run('ls', shell=True)",
    ],
)
def test_the_search_for_unsafe_code_finds_it(source: str) -> None:
    assert list(unsafe(ast.parse(source)))


@pytest.mark.parametrize(
    "source", ["re.compile('a')", "jax.jit(f).lower().compile()", "ast.literal_eval(x)", "np.loadtxt(p)"]
)
def test_the_search_for_unsafe_code_spares_the_rest(source: str) -> None:
    assert not list(unsafe(ast.parse(source)))


def test_nothing_runs_data_as_code() -> None:
    assert len(SOURCES) > 30
    found = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for path in SOURCES
        for line, what in unsafe(ast.parse(path.read_text("utf-8")))
    ]
    assert not found, "\n".join(found)


def test_no_file_is_too_long_to_read() -> None:
    found = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert not {name: lines for name, lines in found.items() if lines > MAX_FILE_LINES}


def test_no_function_is_too_long_to_read() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    too_long = {name: lines for name, lines in found.items() if lines > MAX_FUNCTION_LINES}
    assert set(too_long) == set(LONGER), too_long
