"""Graphs come back from JSON as they were, and nothing malformed or malicious gets in: one typed error with file and field."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from autorl.errors import UsageError
from autorl.objectives.graphs.files import graph_from_json, graph_to_json
from autorl.objectives.graphs.graph import Graph, GraphError, Node
from autorl.objectives.loader import load_objective, names
from autorl.objectives.strict_json import ObjectiveFileError

DQN = Path(__file__).parents[2] / "learned_objectives" / "dqn"


def plain(**changes: Any) -> dict[str, Any]:
    return {**json.loads((DQN / "graph.json").read_text()), **changes}


def node(**changes: Any) -> dict[str, Any]:
    return plain(nodes=[{"op": "square", "in": ["q_action"], **changes}])


def test_every_graph_comes_back_equal_through_text() -> None:
    for name in names():
        graph = load_objective(name).graph
        assert graph_from_json(json.loads(json.dumps(graph_to_json(graph)))) == graph


def test_constants_that_do_not_matter_and_dead_nodes_come_back_too() -> None:
    nodes = (Node("constant", (), 0.1 + 0.2), Node("square", (1,), -2.5e-7), Node("scale", (1,), -1e10))
    graph = Graph(nodes)
    assert graph_from_json(graph_to_json(graph)) == graph


BAD_GRAPHS: list[tuple[Any, str]] = [
    (None, "expected an object"),
    ([], "expected an object"),
    ({}, "'language' is missing"),
    (plain(code="import os"), "unknown key 'code'"),
    (plain(language="python"), "python"),
    (plain(language=3), "language: expected a name"),
    (plain(language="x" * 1000), "language: expected a name"),
    (plain(family="policy"), "policy"),
    (plain(family=["value"]), "family: expected a name"),
    (plain(nodes={}), "nodes: expected a list"),
    (plain(nodes="square"), "nodes: expected a list"),
    (plain(nodes=[]), "nodes: expected a list"),
    (plain(nodes=[{"op": "constant"}] * 65), "65 of them"),
    (plain(nodes=["square"]), r"nodes\[0\]: expected an object"),
    (node(op="__import__"), r"nodes\[0\].op: unknown operator"),
    (node(op="bounded"), r"nodes\[0\].op: unknown operator"),
    (node(op="squar"), "Did you mean 'square'"),
    (node(op=7), r"nodes\[0\].op: expected a name"),
    (node(op=""), r"nodes\[0\].op: expected a name"),
    (node(args=[1]), "unknown key 'args'"),
    (node(**{"in": "q_action"}), r"nodes\[0\].in: expected a list"),
    (node(**{"in": ["q_action"] * 4}), "at most 3"),
    (node(**{"in": ["q_acton"]}), r"nodes\[0\].in\[0\]: no register 'q_acton'"),
    (node(**{"in": ["q_action", "q_action"]}), "takes 1 inputs, got 2"),
    (node(**{"in": [0]}), r"in\[0\]: expected the position of an earlier node"),
    (node(**{"in": [-1]}), r"in\[0\]: expected the position of an earlier node"),
    (node(**{"in": [True]}), r"in\[0\]: expected a register's name"),
    (node(**{"in": [0.0]}), r"in\[0\]: expected a register's name"),
    (node(**{"in": [None]}), r"in\[0\]: expected a register's name"),
    (node(**{"in": [10**5000]}), r"in\[0\]: expected the position"),
    (node(**{"in": ["action"]}), "square does not accept"),
    (node(**{"in": ["q"]}), "the loss must be a float"),
    (node(c="1"), r"nodes\[0\].c: expected a number"),
    (node(c=True), r"nodes\[0\].c: expected a number"),
    (node(c=None), r"nodes\[0\].c: expected a number"),
    (node(c=float("nan")), r"nodes\[0\].c: expected a number within"),
    (node(c=float("inf")), r"nodes\[0\].c: expected a number within"),
    (node(c=1e11), r"nodes\[0\].c: expected a number within"),
    (node(c=10**5000), r"nodes\[0\].c: expected a number within"),
]


@pytest.mark.parametrize(("data", "message"), BAD_GRAPHS)
def test_malformed_graphs_are_refused_with_their_field(data: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message) as caught:
        graph_from_json(data, "FILE")
    assert str(caught.value).startswith("FILE: ")
    assert len(str(caught.value)) < 400


def test_no_message_can_control_a_terminal() -> None:
    with pytest.raises(GraphError) as caught:
        graph_from_json(node(**{"in": ["\x1b[2J\u202e"]}), "FILE")
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


BAD_BYTES: list[tuple[bytes, str]] = [
    (b"", "no JSON"),
    (b"{", "no JSON"),
    (b"\xff\xfe{}", "not UTF-8"),
    (b'{"nodes": NaN}', "NaN"),
    (b'{"nodes": -Infinity}', "Infinity"),
    (b'{"nodes": 1e999}', "too large"),
    (b'{"nodes": ' + b"9" * 6000 + b"}", "too large"),
    (b'{"nodes": 1, "nodes": 2}', "twice"),
    (b"[" * 60_000, "nested"),
    (b"[" * 20 + b"]" * 20, "nested"),
    (b'{"a":' * 9_000, "nested"),
    (b'"' + b"x" * 5000 + b'"', "a text of more than"),
    (b" " * 70_000, "64 KiB"),
    (b"{'language': 'autorl'}", "no JSON"),
    (b"__import__('os').system('true')", "no JSON"),
    (b"\x80\x04\x95.", "not UTF-8"),
]


@pytest.mark.parametrize(("data", "message"), BAD_BYTES)
@pytest.mark.parametrize("file", ["graph.json", "provenance.json"])
def test_files_that_are_no_plain_json_are_refused(tmp_path: Path, data: bytes, message: str, file: str) -> None:
    folder = shutil.copytree(DQN, tmp_path / "dqn")
    (folder / file).write_bytes(data)
    with pytest.raises(ObjectiveFileError, match=message) as caught:
        load_objective(folder)
    assert file in str(caught.value)


@pytest.mark.parametrize("file", ["graph.json", "provenance.json"])
def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, file: str) -> None:
    folder = shutil.copytree(DQN, tmp_path / "dqn")
    outside = (folder / file).rename(tmp_path / "outside.json")
    (folder / file).symlink_to(outside)
    with pytest.raises(ObjectiveFileError, match="leads out of its folder"):
        load_objective(folder)


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    folder = shutil.copytree(DQN, tmp_path / "dqn")
    (folder / "graph.json").unlink()
    with pytest.raises(ObjectiveFileError, match=r"graph.json: cannot be read"):
        load_objective(folder)
    os.mkfifo(folder / "graph.json")
    with pytest.raises(ObjectiveFileError, match="not a file"):
        load_objective(folder)
    (folder / "graph.json").unlink()
    (folder / "graph.json").mkdir()
    with pytest.raises(ObjectiveFileError, match="not a file"):
        load_objective(folder)


@pytest.mark.parametrize("name", ["..", ".", "", "DQN", "dqn\x00", "-dqn"])
def test_names_cannot_leave_the_catalogue(name: str) -> None:
    with pytest.raises(UsageError):
        load_objective(name)


def test_a_path_is_a_folder_or_a_graph_file(tmp_path: Path) -> None:
    shutil.copytree(DQN, tmp_path / "dqn")
    assert load_objective(tmp_path / "dqn") == load_objective("dqn")
    alone = load_objective(tmp_path / "dqn" / "graph.json")
    assert (alone.name, alone.graph, dict(alone.provenance)) == ("graph", load_objective("dqn").graph, {})
    with pytest.raises(ObjectiveFileError, match="no folder of an objective"):
        load_objective("../learned_objectives/nothing_there")


BAD_PROVENANCE: list[tuple[dict[str, Any], str]] = [
    ({"name": "double_dqn"}, "name: expected 'dqn'"),
    ({"family": "policy_gradient"}, "family: expected 'value'"),
    ({"script": "rm -rf"}, "unknown key 'script'"),
    ({"title": ""}, "title: expected printable text"),
    ({"title": "\x1b[2J"}, "title: expected printable text"),
    ({"created": "yesterday"}, "created: expected a date"),
    ({"hyperparameters": {"gamma": [1]}}, "hyperparameters: expected an object"),
    ({"source": "a paper"}, "source: expected an object"),
    ({"source": {"author": "A", "title": "T"}}, "source: 'year' is missing"),
    ({"source": {"author": "A", "title": "T", "year": "2015"}}, "year: expected a whole number"),
    ({"found_by": {"study": "s", "command": "c", "seeds": ["1"]}}, "seeds: expected a list of whole numbers"),
    ({"tested": {}}, "tested: expected a list"),
    ({"tested": [{"environment": "e", "learner": "dqn"}]}, r"tested\[0\]: 'command' is missing"),
    ({"tested": [{"environment": "e", "learner": "dqn", "command": "c", "score": "9"}]}, "score: expected a number"),
    ({"tested": [{"environment": "e", "learner": "d", "command": "c", "interval": [1]}]}, "interval: expected two"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_PROVENANCE)
def test_malformed_provenance_is_refused_with_its_field(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    folder = shutil.copytree(DQN, tmp_path / "dqn")
    file = folder / "provenance.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    with pytest.raises(ObjectiveFileError, match=message) as caught:
        load_objective(folder)
    assert "provenance.json" in str(caught.value)


def test_provenance_must_name_a_source(tmp_path: Path) -> None:
    folder = shutil.copytree(DQN, tmp_path / "dqn")
    file = folder / "provenance.json"
    data = json.loads(file.read_text())
    del data["source"]
    file.write_text(json.dumps(data))
    with pytest.raises(ObjectiveFileError, match="'source'"):
        load_objective(folder)


def test_loading_imports_no_jax(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys, autorl.objectives.loader as l; l.load_objective('dqn'); print('jax' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=DQN.parents[1])
    assert found.stdout.strip() == "False"
