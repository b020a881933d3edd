"""Loss graphs, and the constants of one, as search spaces; and the files that describe them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from graph_programs import DELTA, TD, made

from autorl.errors import UsageError
from autorl.objectives.graphs.canonical import key as structure
from autorl.objectives.graphs.constants_space import ConstantsSpace
from autorl.objectives.graphs.files import graph_to_json
from autorl.objectives.graphs.space import GraphSpace
from autorl.outer.methods import fitting, make_method, resolve_auto
from autorl.outer.protocol import Budget, Result, Status
from autorl.spaces import HyperparameterSpace, ProductSpace, Space, load_space, resolve_space
from autorl.spaces.plain_values import plain_values
from autorl.spaces.screening import mutate_part, screen, size, starts

REQUIRES = ("reward", "action")
RANDOM = GraphSpace("random", nodes=10, requires=REQUIRES)
BOUNDED = GraphSpace("bounded", nodes=10, requires=REQUIRES, minimum=True)
BOOTSTRAPPED = GraphSpace("bootstrapped", nodes=12, requires=REQUIRES, start=(TD,))
DQNREG = made(*DELTA, ("square", 3), ("scale", "q_action", [0.1]), ("add", 4, 5))
CONSTANTS = ConstantsSpace("constants", DQNREG)
HUGE = replace(DQNREG, nodes=tuple(replace(n, constant=1e9) if n.op == "scale" else n for n in DQNREG.nodes))


@pytest.mark.parametrize("space", [RANDOM, BOOTSTRAPPED, CONSTANTS], ids=lambda s: s.name)
def test_the_contract_of_a_space(space: Any) -> None:
    assert isinstance(space, Space)
    candidates = [space.sample(key) for key in range(8)]
    assert candidates == [space.sample(key) for key in range(8)]
    changed = [space.mutate(key, c) for key, c in enumerate(candidates)]
    changed += [space.perturb(key, c) for key, c in enumerate(candidates)]
    changed += [space.crossover(key, a, b) for key, (a, b) in enumerate(zip(candidates, changed, strict=False))]
    for candidate in candidates + changed:
        assert space.validate(candidate) == []
        stored = json.loads(json.dumps(space.to_json(candidate)))
        again = space.from_json(stored)
        assert space.fingerprint(again) == space.fingerprint(candidate)
        assert space.to_json(again) == space.to_json(candidate)
    assert len({space.fingerprint(c) for c in candidates}) > 4
    assert space.upper_bounds() == {}


def test_a_parent_without_children_does_not_end_a_search() -> None:
    lonely = GraphSpace("lonely", nodes=10, requires=REQUIRES, mutations={"jitter": 1.0})
    td = lonely.candidate(TD)  # it has no constant
    children = [lonely.mutate(key, td) for key in range(4)]
    assert children == [lonely.mutate(key, td) for key in range(4)]
    assert len({lonely.fingerprint(child) for child in children}) == 4
    assert all(lonely.validate(child) == [] for child in children)


def test_samples_are_worth_training() -> None:
    for space in (RANDOM, BOUNDED, BOOTSTRAPPED):
        found = space.screen([space.sample(key) for key in range(20)])
        assert {reason for _, reason in found} == {None}


def test_losses_that_run_away_are_rejected_where_a_minimum_is_asked_for() -> None:
    away = {"graph": graph_to_json(made(("sub", "q_action", "reward"), ("mul", 0, "reward")))}
    td = {"graph": graph_to_json(TD)}
    assert [reason for _, reason in BOUNDED.screen([away, td])] == ["no minimum", None]
    assert [reason for _, reason in RANDOM.screen([away, td])] == [None, None]


def test_samples_of_a_bootstrapped_space_are_near_its_start() -> None:
    assert BOOTSTRAPPED.starts() == ({"graph": graph_to_json(TD)},)
    graphs = [BOOTSTRAPPED.graph(BOOTSTRAPPED.sample(key)) for key in range(20)]
    assert all(structure(graph) != structure(TD) for graph in graphs)
    kept = [len({n.op for n in g.nodes} & {n.op for n in TD.nodes}) for g in graphs]
    assert np.mean(kept) > 2.5


def test_what_is_not_worth_training_says_why() -> None:
    graphs = [
        made(("greater", "q_action", "reward")),
        made(("exp", "q_action"), ("exp", 0), ("square", 1), ("square", 2), ("mul", 3, 3)),
        made(("sub", "q_action", "reward"), ("mul", "reward", "reward"), ("add", 0, 1)),
        TD,
    ]
    found = RANDOM.screen([RANDOM.candidate(graph) for graph in graphs])
    assert [reason for _, reason in found] == ["zero", "non_finite", "no reward", None]
    assert RANDOM.size(RANDOM.candidate(TD)) == len(TD.nodes) == 5
    doubled = made(*DELTA, ("mul", 3, 3), ("abs", "reward"), ("add", 4, 5))
    assert RANDOM.size(RANDOM.candidate(doubled)) == 7 + 1, "delta is read twice"
    twice = made(("abs", "reward"), ("abs", "reward"), ("sub", 0, 1))
    assert RANDOM.size(RANDOM.candidate(twice)) == 2 + 1, "one node, read twice"
    for constant, told in ((0.5, 0), (-0.1, 0), (0.5021, 1)):
        scaled = made(("scale", "q_action", [constant]), ("sub", 0, "reward"))
        assert RANDOM.size(RANDOM.candidate(scaled)) == 2 + told, "a tuned constant has digits to be told"


def test_kin_differ_in_the_values_of_constants_alone() -> None:
    one, two = (made(*DELTA, ("square", 3), ("scale", 4, [c])) for c in (0.5, 3.0))
    other = made(*DELTA, ("square", 3), ("scale", 3, [0.5]), ("add", 4, 5))
    names = [RANDOM.kin(RANDOM.candidate(graph)) for graph in (one, two, other)]
    assert names[0] == names[1] != names[2]


def test_candidates_of_another_grammar_are_refused() -> None:
    space = load_space("loss_td")
    wrong = space.validate({"graph": graph_to_json(TD)})
    assert wrong == ["graph: register 'q_action' is not of this space"]
    with pytest.raises(UsageError, match="not of this space"):
        space.from_json({"graph": graph_to_json(TD)})
    assert "expected a mapping with 'graph' alone" in space.validate({"graf": 1})[0]
    assert "expected a list" in space.validate({"graph": {"language": "autorl", "family": "value", "nodes": 3}})[0]
    big = made(*DELTA, ("square", 3), *(("abs", i) for i in range(4, 12)))
    assert RANDOM.validate(RANDOM.candidate(big)) == ["graph: expected at most 10 nodes, got 13"]


def test_graphs_have_no_unit_cube_and_the_methods_that_need_one_refuse() -> None:
    assert RANDOM.unit_dimension == RANDOM.to_unit({}).size == 0
    with pytest.raises(UsageError, match="no unit cube"):
        RANDOM.from_unit(np.zeros(0))
    assert fitting(RANDOM) == ["random", "evolution"]
    assert resolve_auto(RANDOM, Budget(100, 10)) == "evolution"


def test_random_search_says_how_many_graphs_it_trained_again() -> None:
    space = GraphSpace("near", start=(TD,), nodes=7)
    method = make_method("random", space, Budget(40, 10), 0, {})
    state = method.init()
    asked = method.ask(state, 40)
    state = method.tell(state, [Result(p, Status.COMPLETED, 0.0) for p in asked])
    counted = method.statistics(state)  # type: ignore[attr-defined]
    different = len({space.fingerprint(p.candidate) for p in asked})
    assert 1 < different < 40
    assert (counted["trained"], counted["repeated"], counted["fingerprints"]) == (40, 40 - different, different)
    numbers = make_method("random", CONSTANTS, Budget(4, 10), 0, {})
    told = numbers.tell(numbers.init(), [Result(p, Status.COMPLETED, 0.0) for p in numbers.ask(numbers.init(), 4)])
    assert numbers.statistics(told) == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["gp", "es", "tpe", "sobol", "evolution"])
def test_any_method_tunes_constants(method: str) -> None:
    made_method = make_method(method, CONSTANTS, Budget(6, 10), 0, {})
    state = made_method.init()
    while not made_method.finished(state):
        asked = made_method.ask(state, made_method.available(state))
        assert all(CONSTANTS.validate(p.candidate) == [] for p in asked)
        constants = [next(n["c"] for n in p.candidate["graph"]["nodes"] if n["op"] == "scale") for p in asked]
        assert all(0.01 <= c <= 1.0 for c in constants)
        told = [Result(p, Status.COMPLETED, -abs(c - 0.3)) for p, c in zip(asked, constants, strict=True)]
        state = made_method.tell(state, told)


def test_constants_keep_their_sign_and_zero_gets_a_range() -> None:
    graph = made(
        *DELTA, ("square", 3), ("scale", "q_action", [-0.5]), ("constant", [0.0]), ("add", 4, 5), ("mul", 7, 6)
    )
    space = ConstantsSpace("c", graph, span=4)
    low, high = (space.from_unit(np.array([u, u]))["graph"]["nodes"] for u in (0.0, 1.0))
    assert [low[5]["c"], high[5]["c"]] == pytest.approx([-0.125, -2.0])
    constants = sorted(node["c"] for nodes in (low, high) for node in nodes if node["op"] == "constant")
    assert constants == pytest.approx([-1.0, 1.0])
    np.testing.assert_allclose(space.to_unit(space.from_unit(np.array([0.3, 0.9]))), [0.3, 0.9])
    assert space.from_json(space.to_json(space.starts()[0])) == space.starts()[0]


@pytest.mark.parametrize(
    ("graph", "span", "words"),
    [
        (TD, 10.0, "no operator in it has a constant"),
        (DQNREG, 1.0, "span: expected a number above 1"),
        (DQNREG, True, "span"),
        (HUGE, 50.0, r"span: a constant of 1e\+09 times 50 is above 1e\+10.*Remedy: a span of at most 10"),
    ],
)
def test_senseless_spaces_of_constants_are_refused(graph: Any, span: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ConstantsSpace("c", graph, span)


def test_another_graph_is_no_candidate_of_a_space_of_constants() -> None:
    assert "not the one whose constants" in CONSTANTS.validate({"graph": graph_to_json(TD)})[0]
    far = made(*DELTA, ("square", 3), ("scale", "q_action", [100.0]), ("add", 4, 5))
    (problem,) = CONSTANTS.validate({"graph": graph_to_json(far)})
    assert "100" in problem


def test_files_of_all_forms() -> None:
    td = load_space("loss_td_given")
    assert isinstance(td, GraphSpace)
    assert (len(td.grammar.operators), td.nodes, td.requires) == (14, 10, ("reward", "action", "q_target_next"))
    assert "q_action" in td.grammar.registers
    assert "q_action" not in load_space("loss_td").grammar.registers  # type: ignore[attr-defined]
    assert td.start == ()
    assert len(load_space("loss_value").grammar.operators) == 24  # type: ignore[attr-defined]
    joint = load_space(
        {
            "parts": {
                "objective": {"graphs": {"nodes": 8, "start": ["dqn"]}},
                "hyperparameters": {
                    "dimensions": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "scale": "log"}}
                },
            }
        }
    )
    assert isinstance(joint, ProductSpace)
    assert joint.features() == {"graph", "float"}


def test_a_kept_space_has_its_graphs_written_out() -> None:
    for form in (
        {"graphs": {"start": ["dqn"]}},
        {"constants": {"graph": "dqn"}},
        {"parts": {"a": {"graphs": {"start": ["dqn"]}}}},
    ):
        text = json.dumps(resolve_space(form))
        assert '"max_a"' in text
        assert '["dqn"]' not in text
        assert json.dumps(resolve_space(json.loads(text))) == text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"graphs": {"node": 3}}, r"unknown field 'node'\. Did you mean 'nodes'"),
        ({"graphs": 3}, "graphs: expected a mapping, got 3"),
        ({"graphs": {}, "dimension": {}}, "unknown field 'dimension'"),
        ({"graphs": {"nodes": "many"}}, "nodes: expected a whole number"),
        ({"graphs": {"language": 3}}, "language: expected a name, got 3"),
        ({"graphs": {"language": "autrl"}}, "Did you mean 'autorl'"),
        ({"graphs": {"operators": "add"}}, "operators: expected a list, got 'add'"),
        ({"graphs": {"operators": [3]}}, "operators: expected names, got 3"),
        ({"graphs": {"operators": []}}, "operators: expected at least one name"),
        ({"graphs": {"requires": ["rewards"]}}, "Did you mean 'reward'"),
        ({"graphs": {"mutations": {"inserts": 1}}}, "Did you mean 'insert'"),
        (
            {"graphs": {"registers": ["reward", "discount"]}},
            "no agent could learn through reward, discount. Remedy: add one of q",
        ),
        ({"graphs": {"mutations": 3}}, "mutations: expected a mapping"),
        ({"graphs": {"minimum": "yes"}}, "minimum: expected true or false"),
        ({"graphs": {"family": "policy_gradient", "minimum": True}}, "true for the family 'value' alone"),
        ({"graphs": {"start": ["dqnn"]}}, r"start\[0\]: unknown learned objective 'dqnn'"),
        ({"graphs": {"start": [3]}}, r"start\[0\]: expected the name of a learned objective or a graph, got 3"),
        ({"graphs": {"start": ["dqn"], "nodes": 3}}, "start: expected at most 3 nodes"),
        ({"graphs": {}, "source": 3}, "source: expected text"),
        ({"constants": {"span": 3}}, "constants needs 'graph'"),
        ({"constants": {"graph": "dqn", "spam": 3}}, "Did you mean 'span'"),
    ],
)
def test_malformed_files_are_refused_with_the_field(data: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        load_space({"name": "mine", **data})
    assert "search space 'mine'" in str(caught.value)


def test_reading_a_space_of_graphs_needs_no_jax() -> None:
    code = (
        "import sys; from autorl.spaces import load_space; s = load_space('loss_td'); s.mutations; s.features();"
        "load_space('loss_constants').sample(0); sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0


def test_screening_of_any_space() -> None:
    numbers = load_space({"name": "n", "dimensions": {"x": {"type": "float", "low": 0, "high": 1}}})
    assert isinstance(numbers, HyperparameterSpace)
    both = ProductSpace({"objective": RANDOM, "hyperparameters": numbers})
    td, dead = (
        {"objective": RANDOM.candidate(g), "hyperparameters": {"x": 0.5}}
        for g in (TD, made(("greater", "q_action", "reward")))
    )
    (name, fine), (_, zero) = screen(both, [td, dead])
    assert (fine, zero) == (None, "zero")
    assert name == both.fingerprint(td)
    assert (size(both, td), size(numbers, {"x": 1.0})) == (5, 0)
    assert starts(both, 0) == ()
    bootstrapped = ProductSpace({"objective": BOOTSTRAPPED, "hyperparameters": numbers})
    assert [c["objective"] for c in starts(bootstrapped, 3)] == [{"graph": graph_to_json(TD)}]
    changed = [mutate_part(both, key, td) for key in range(30)]
    assert all(sum(c[part] != td[part] for part in td) == 1 for c in changed)
    assert plain_values(both, td)["objective"] == graph_to_json(TD)


def test_a_signature_covers_all_that_a_space_proposes() -> None:
    from autorl.objectives.graphs.program import pack

    for name in ("loss_td", "loss_policy_gradient"):
        space: Any = load_space(name)
        pack(space.graph(space.mutate(0, space.sample(0))), space.signature)
    pack(DQNREG, CONSTANTS.signature)
