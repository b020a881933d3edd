"""Exports stand alone: their own tests pass in a process that cannot import this package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from autorl.errors import UnknownNameError
from autorl.objectives.graphs.drawing import dot, picture
from autorl.objectives.graphs.export import EXPORTERS, export_files, module_name
from autorl.objectives.graphs.files import graph_from_json
from autorl.objectives.graphs.formula import mathtext
from autorl.objectives.graphs.graph import GraphError
from autorl.objectives.graphs.programs_coreyes import with_loss_weight
from autorl.objectives.loader import LearnedObjective, load_objective, names

EVERYTHING = LearnedObjective(
    "1-every.operator",
    graph_from_json(
        {
            "language": "autorl",
            "family": "value",
            "nodes": [
                {"op": "softmax_a", "in": ["q"]},
                {"op": "entropy_a", "in": [0]},
                {"op": "argmax_a", "in": ["q_next"]},
                {"op": "select", "in": ["q_next", 2]},
                {"op": "greater", "in": ["q_action", "reward"]},
                {"op": "exp", "in": ["q_action"]},
                {"op": "log", "in": [5]},
                {"op": "tanh", "in": ["q_next"]},
                {"op": "mean_a", "in": [7]},
                {"op": "sum_a", "in": [7]},
                {"op": "div", "in": [9, "q_action"]},
                {"op": "stop_gradient", "in": [10]},
                {"op": "min", "in": [11, 8]},
                {"op": "max", "in": [12, "progress"]},
                {"op": "relu", "in": [13]},
                {"op": "abs", "in": [14]},
                {"op": "logsumexp_a", "in": ["q"]},
                {"op": "constant", "c": -0.25},
                {"op": "mul", "in": [16, 17]},
                {"op": "add", "in": [18, 15]},
                {"op": "add", "in": [19, 6]},
                {"op": "add", "in": [20, 4]},
                {"op": "sub", "in": [21, 3]},
                {"op": "square", "in": [22]},
                {"op": "max_a", "in": ["q"]},
                {"op": "add", "in": [23, 24]},
                {"op": "scale", "in": [25], "c": 0.5},
                {"op": "add", "in": [26, 1]},
            ],
        }
    ),
    {
        "title": 'Quotes """ and back\\slash',
        "source": {"author": "A & B", "year": 2020, "title": "50 % of_it #1 {x} ~ ^"},
    },
    Path(),
)


def write(folder: Path, objective: LearnedObjective, to: str) -> None:
    for name, text in export_files(objective, to).items():
        (folder / name).write_text(text)


def run_tests(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run pytest in ``folder``, in a process that fails to import this package."""
    (folder / "conftest.py").write_text("import sys\nsys.modules['autorl'] = None\n")
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "XLA_FLAGS")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "."]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_exported_tests_pass_without_this_package(tmp_path: Path) -> None:
    for objective in (load_objective("ppo_clip"), EVERYTHING):
        for to in EXPORTERS:
            write(tmp_path, objective, to)
    done = run_tests(tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"\b20 passed", done.stdout)  # slopes are tested in JAX and PyTorch


@pytest.mark.slow
def test_every_export_of_the_catalogue_passes_its_own_test(tmp_path: Path) -> None:
    for name in names():
        for to in EXPORTERS:
            write(tmp_path, load_objective(name), to)
    done = run_tests(tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{10 * len(names())} passed" in done.stdout


def test_an_exported_test_fails_when_the_module_is_changed(tmp_path: Path) -> None:
    write(tmp_path, load_objective("dqnreg_paper"), "numpy")
    module = tmp_path / "dqnreg_paper_numpy.py"
    assert "scale(0.1," in module.read_text()
    module.write_text(module.read_text().replace("scale(0.1,", "scale(0.101,"))
    done = run_tests(tmp_path)
    assert done.returncode == 1
    assert "AssertionError" in done.stdout


def failures(objective: LearnedObjective, to: str, module: str) -> int:
    """Return how many of the tests that were exported with ``objective`` fail for ``module``, the text of an export."""
    name = module_name(objective, to)
    (test,) = [text for file, text in export_files(objective, to).items() if file.startswith("test_")]
    made = types.ModuleType(name)
    exec(module, made.__dict__)
    tests: dict[str, Any] = {}
    with patch.dict(sys.modules, {name: made}):
        exec(test, tests)
    failed = 0
    for run in [run for called, run in tests.items() if called.startswith("test_")]:
        try:
            run()
        except AssertionError:
            failed += 1
    return failed


CONSTANTS = re.compile(r"(?<=scale\()-?[\d.e-]+(?=,)|(?<=constant\()-?[\d.e-]+(?=\))|(?<=return )\d\.\d+(?= \*)")


@pytest.mark.parametrize("to", [pytest.param("jax", marks=pytest.mark.slow), "torch", "numpy"])
@pytest.mark.parametrize("name", names())
def test_an_exported_test_notices_a_fifth_more_of_any_constant(name: str, to: str) -> None:
    objective = load_objective(name)
    text = export_files(objective, to)[f"{name}_{to}.py"]
    assert failures(objective, to, text) == 0
    found = [match for match in CONSTANTS.finditer(text) if float(match[0]) != 0.0]
    changed = [f"{text[: match.start()]}{1.2 * float(match[0])!r}{text[match.end() :]}" for match in found]
    if not found:  # a loss without constants: of a fifth more reward
        changed = [text.replace("reward = reward.", "reward = 1.2 * reward.")]
    for module in changed:
        assert module != text
        assert failures(objective, to, module) > 0, set(module.splitlines()) - set(text.splitlines())


@pytest.mark.parametrize("to", ["jax", "torch", "numpy"])
def test_a_program_that_ends_with_a_loss_weight_is_exported_too(to: str) -> None:
    graph = load_objective("coreyes_dqn_reg").graph
    weighted = LearnedObjective("weighted", with_loss_weight(graph, 0.01), {}, Path())
    text = export_files(weighted, to)[f"weighted_{to}.py"]
    assert failures(weighted, to, text) == 0
    assert failures(weighted, to, text.replace("weighted_loss(0.01,", "weighted_loss(0.012,")) > 0


@pytest.mark.parametrize("to", ["jax", "torch", "numpy"])
@pytest.mark.parametrize("name", ["dqn", "ppo_clip", "coreyes_dqn_reg"])
def test_exports_are_short_and_name_nothing_of_ours(name: str, to: str) -> None:
    files = export_files(load_objective(name), to)
    text = files[f"{name}_{to}.py"]
    compile(text, name, "exec")
    assert not re.search(r"^\s*(from|import) autorl", text, re.MULTILINE)
    assert "def tanh" not in text  # only the operators that are used
    assert "Source: " in text
    assert all(len(line) <= 140 for line in text.splitlines())


def test_an_export_is_a_function_of_the_objective() -> None:
    for to in EXPORTERS:
        assert export_files(load_objective("cql"), to) == export_files(load_objective("cql"), to)


def test_names_become_modules_that_can_be_imported() -> None:
    assert module_name(EVERYTHING, "jax") == "loss_1_every_operator_jax"
    assert module_name(load_objective("dqn"), "torch") == "dqn_torch"


def test_unknown_form_and_loss_without_registers_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="latex"):
        export_files(load_objective("dqn"), "latx")
    one = graph_from_json({"language": "autorl", "family": "value", "nodes": [{"op": "constant"}]})
    with pytest.raises(GraphError, match="reads no register"):
        export_files(LearnedObjective("one", one, {}, Path()), "jax")


@pytest.mark.parametrize("objective", [load_objective("munchausen"), EVERYTHING], ids=["munchausen", "everything"])
def test_latex_is_balanced_and_escaped(objective: LearnedObjective) -> None:
    (text,) = [text for name, text in export_files(objective, "latex").items() if name.endswith(".tex")]
    assert text.count("\\begin{") == text.count("\\end{")
    assert text.count("\\left") == text.count("\\right")
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert "$" in text
    outside = re.sub(
        r"\$[^$]*\$|\\begin\{align\*\}.*?\\end\{align\*\}|\\begin\{tabular\}.*?\n|\\\\\n| & ", "", text, flags=re.DOTALL
    )
    assert not re.search(r"(?<!\\)[&%$#_^~]", outside)
    from matplotlib.mathtext import MathTextParser

    parser: Any = MathTextParser("path")
    (aligned,) = re.findall(r"\\begin\{align\*\}\n(.*?)\n\\end", text, re.DOTALL)
    for line in aligned.split(" \\\\\n"):
        parser.parse("$" + mathtext(line.replace("&", "")) + "$")


@pytest.mark.parametrize("name", ["dqn_clipped", "munchausen", "ppo_clip", "coreyes_cql"])
def test_a_picture_shows_every_live_value_once_and_edges_point_right(name: str) -> None:
    graph = load_objective(name).graph
    made = picture(graph)
    assert len(made.boxes) == len(graph.live) + len(graph.needs)
    assert sum(box.kind == "loss" for box in made.boxes.values()) == 1
    assert len(made.edges) == sum(len(graph.nodes[p].inputs) for p in graph.live)
    assert all(made.boxes[edge[0]].layer < made.boxes[edge[1]].layer for edge in made.edges)
    assert len(set(made.places.values())) == len(made.boxes), "two boxes in one place"
    passed = [point for way in made.ways for point in way[1:-1]]
    assert not set(passed) & set(made.places.values()), "an edge runs through a box"
    assert len(set(passed)) == len(passed)
    for (source, target, _), way in zip(made.edges, made.ways, strict=True):
        assert (way[0], way[-1]) == (made.places[source], made.places[target])
        assert [x for x, _ in way] == list(range(made.boxes[source].layer, made.boxes[target].layer + 1))


def test_dot_is_what_graphviz_reads() -> None:
    text = dot(load_objective("double_dqn").graph, 'quo"te\\')
    assert text.startswith('digraph "quo\\"te\\\\" {\n')
    nodes = set(re.findall(r"^  (n\d+) \[", text, re.MULTILINE))
    edges = re.findall(r"^  (n\d+) -> (n\d+) \[(?:label=\"[xy]\", )?input=[01]\];$", text, re.MULTILINE)
    assert {name for edge in edges for name in edge} == nodes
    statements = text.splitlines()[1:-1]
    assert all(
        re.fullmatch(r'  (rankdir=LR|node \[.*\]|n\d+ \[label="(?:[^"\\]|\\.)*", .*\]|n\d+ -> n\d+.*);', s)
        for s in statements
    )


def test_recorded_inputs_reach_saturation() -> None:
    from autorl.objectives.graphs.equality_test import expected, recorded_registers

    graph = load_objective("dqnreg_paper").graph
    losses, slopes = expected(graph, recorded_registers(graph))
    assert np.isfinite(losses).all()
    assert losses.max() >= 9e9
    assert slopes["q_action"][np.argmax(losses)] == 0.0
    assert (slopes["q_action"][losses < 9e9] != 0.0).all()
