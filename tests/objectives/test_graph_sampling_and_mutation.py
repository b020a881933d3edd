"""Random programs and their mutations: always well typed, always of their grammar, a function of the key alone."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from graph_programs import DELTA, GRAMMARS, MASKED, NARROW, PAIRS, TD, VALUE, made
from hypothesis import given, settings
from hypothesis import strategies as st

from autorl.errors import UnknownNameError, UsageError
from autorl.keys import generator
from autorl.objectives.graphs.canonical import key as structure
from autorl.objectives.graphs.cells import trimmed
from autorl.objectives.graphs.graph import Graph, Node, check
from autorl.objectives.graphs.language import load_language
from autorl.objectives.graphs.mutation import (
    MUTATIONS,
    NoNeighbourError,
    check_weights,
    crossover,
    mutate,
    round_constant,
)
from autorl.objectives.graphs.sampling import ANY, Grammar, Sampling, pick, random_graph, random_node, signatures
from autorl.objectives.graphs.types import Type

every_grammar = pytest.mark.parametrize("name", list(GRAMMARS))
keys = st.integers(0, 2**62)


@every_grammar
def test_random_graphs_are_of_their_grammar(name: str) -> None:
    grammar = GRAMMARS[name]
    graphs = [random_graph(key, grammar) for key in range(40)]
    assert all(grammar.accepts(check(graph)) for graph in graphs)
    assert all(len(graph.nodes) == len(graph.live) <= grammar.nodes for graph in graphs)
    assert graphs == [random_graph(key, grammar) for key in range(40)]
    assert len({structure(graph) for graph in graphs}) >= 25


def test_operators_are_drawn_uniformly_or_by_their_inputs() -> None:
    registers = ("q", "q_action", "reward", "action")
    counts = {}
    for sampling in ("operator", "pair"):
        grammar = Grammar(operators=("select", "add", "max_a"), registers=registers, sampling=sampling)  # type: ignore[arg-type]
        rng = generator(5)
        drawn = [random_node(rng, grammar, grammar.sources) for _ in range(3000)]
        counts[sampling] = Counter(node.op for node in drawn if node is not None)
    assert all(abs(counts["operator"][op] - 1000) < 110 for op in ("select", "add", "max_a"))
    # select and max_a each have one tuple of inputs, add nine of the three elementwise registers
    assert abs(counts["pair"]["add"] - 3000 * 9 / 11) < 110


def test_inputs_are_drawn_uniformly() -> None:
    grammar = Grammar(operators=("add",), registers=("q", "reward", "discount"))
    rng = generator(1)
    drawn = Counter(node.inputs for node in (random_node(rng, grammar, grammar.sources) for _ in range(4500)) if node)
    assert len(drawn) == 9
    assert all(abs(n - 500) < 100 for n in drawn.values())


def test_a_fixed_source_is_read() -> None:
    rng = generator(3)
    for _ in range(200):
        node = random_node(rng, VALUE, VALUE.sources, frozenset({Type.FLOAT}), fixed=(-1, Type.LIST))
        assert node is not None
        assert -1 in node.inputs


def test_signatures_are_the_operators_rules() -> None:
    assert signatures("autorl", "select") == (((Type.LIST, Type.ACTION), Type.FLOAT),)
    assert len(signatures("autorl", "add")) == 4
    assert signatures("autorl", "constant") == (((), Type.FLOAT),)


def test_pick_follows_weights() -> None:
    rng = generator(0)
    drawn = Counter(pick(rng, [0.0, 1.0, 3.0, 0.0]) for _ in range(2000))
    assert set(drawn) == {1, 2}
    assert 1400 < drawn[2] < 1600


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"operators": ("ad",)}, UnknownNameError, "Did you mean 'add'"),
        ({"registers": ("rewards",)}, UnknownNameError, "Did you mean 'reward'"),
        ({"reads": ("rewards",)}, UnknownNameError, "Did you mean 'reward'"),
        ({"operators": ("add", "add")}, UsageError, "each name once"),
        ({"nodes": 0}, UsageError, "nodes: expected a whole number from 1"),
        ({"nodes": True}, UsageError, "nodes: expected a whole number from 1"),
        ({"sampling": "both"}, UsageError, "sampling: expected 'operator' or 'pair'"),
        ({"registers": ("q",), "reads": ("reward",)}, UsageError, "must depend on 'reward'"),
        ({"family": "values"}, UnknownNameError, "Did you mean 'value'"),
    ],
)
def test_senseless_grammars_are_refused(fields: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Grammar(**fields)  # type: ignore[arg-type]


def test_a_grammar_without_programs_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autorl.objectives.graphs.sampling.ATTEMPTS", 50)
    with pytest.raises(UsageError, match="Remedy: allow more nodes"):
        random_graph(0, Grammar(operators=("max_a",), registers=("q", "reward"), reads=("reward",)))
    with pytest.raises(UsageError, match="was found in 50 draws"):
        random_graph(0, Grammar(operators=("argmax_a",), registers=("q",)))


@every_grammar
def test_thousands_of_mutations_are_well_typed(name: str) -> None:
    grammar = GRAMMARS[name]
    for key in range(12):
        graph = random_graph(key, grammar)
        for step in range(60):  # a walk: errors of one mutation would show in the next
            changed = mutate(1000 * key + step, graph, grammar)
            assert grammar.accepts(check(changed))
            assert structure(changed) != structure(graph)
            assert len(changed.nodes) == len(changed.live)
            graph = changed


@pytest.mark.parametrize("kind", list(MUTATIONS))
def test_every_mutation_happens_and_is_reproducible(kind: str) -> None:
    made_some = 0
    for key in range(120):
        graph = random_graph(key, VALUE)
        one, two = (MUTATIONS[kind](generator(key), graph, VALUE) for _ in range(2))
        assert one == two
        made_some += one is not None and VALUE.accepts(one) and structure(one) != structure(graph)
    # a random program rarely has a constant or something to slide
    assert made_some >= (2 if kind == "jitter" else 10)


def test_jitter_changes_one_constant_by_at_most_two() -> None:
    graph = made(*DELTA, ("square", 3), ("scale", 4, [0.5]), ("scale", "q_action", [-0.1]), ("add", 5, 6))
    ratios = []
    for key in range(300):
        changed = MUTATIONS["jitter"](generator(key), graph, VALUE)
        assert changed is not None
        old, new = (sorted((n.constant for n in g.nodes if n.op == "scale"), key=abs) for g in (graph, changed))
        moved = [b / a for a, b in zip(old, new, strict=True) if a != b]
        assert len(moved) <= 1
        ratios += moved
    assert all(0.49 <= abs(ratio) <= 2.01 for ratio in ratios)
    assert 10 < sum(ratio < 0 for ratio in ratios) < 55


def test_constants_stay_readable() -> None:
    assert round_constant(0.123456) == 0.1235
    assert round_constant(-1e-9) == -1e-4
    assert round_constant(1e9) == 1e4


def test_the_masked_form_is_one_slide_away_from_td() -> None:
    """Research on the pilot's searches: the step that evolution did not find."""
    slides = (MUTATIONS["slide"](generator(key), MASKED, VALUE) for key in range(300))
    assert structure(TD) in {structure(graph) for graph in slides if graph is not None}


def test_td_is_one_mutation_away_from_its_neighbours() -> None:
    neighbours = {
        "swap": made(*DELTA, ("abs", 3)),
        "delete": made(*DELTA, ("square", 3), ("abs", 4)),
        "insert": made(DELTA[0], ("add", "reward", 0), ("sub", "q_action", 1), ("square", 2)),
        "rewire": made(DELTA[0], ("mul", "reward", 0), *DELTA[2:], ("square", 3)),
    }
    for kind, graph in neighbours.items():
        found = (MUTATIONS[kind](generator(key), graph, VALUE) for key in range(6000))
        assert any(g is not None and structure(g) == structure(TD) for g in islice(found, 6000)), kind


@settings(max_examples=30)
@given(keys, keys, keys)
def test_crossover_is_of_the_grammar(key: int, one: int, two: int) -> None:
    a, b = random_graph(one, NARROW), random_graph(two, NARROW)
    child = crossover(key, a, b, NARROW)
    assert NARROW.accepts(check(child))
    assert crossover(key, a, b, NARROW) == child
    known = {n.op for g in (a, b) for n in g.nodes}
    assert {n.op for n in child.nodes} <= known


def test_crossover_mixes() -> None:
    pairs = [(random_graph(k, VALUE), random_graph(k + 100, VALUE)) for k in range(30)]
    children = [crossover(k, a, b, VALUE) for k, (a, b) in enumerate(pairs)]
    differ = [structure(c) not in (structure(a), structure(b)) for c, (a, b) in zip(children, pairs, strict=True)]
    assert sum(differ) > 10


@pytest.mark.parametrize(
    ("weights", "words"),
    [({"inserts": 1.0}, "Did you mean 'insert'"), ({"insert": -1.0}, "at least 0"), ({"insert": 0.0}, "above 0")],
)
def test_senseless_weights_are_refused(weights: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_weights(weights)


def test_weights_choose_the_mutations() -> None:
    only = {"jitter": 1.0}
    graph = made(("scale", "q_action", [0.5]), ("sub", 0, "reward"), ("square", 1))
    changed = mutate(3, graph, VALUE, only)
    assert [n.op for n in changed.nodes] == [n.op for n in graph.nodes]
    with pytest.raises(NoNeighbourError, match="no mutation of a loss graph stays within"):
        mutate(3, TD, VALUE, only)


def test_mutations_in_a_row_end_where_there_is_no_further_one() -> None:
    pair = made(("sub", "q_action", "reward"), ("square", 0))
    few = Grammar(operators=("sub", "square"), registers=("q_action", "reward"))
    turned = structure(made(("sub", "reward", "q_action"), ("square", 0)))
    assert structure(mutate(3, pair, few, {"swap": 1.0}, 1)) == turned
    assert structure(mutate(3, pair, few, {"swap": 1.0}, 9)) == turned


def test_new_nodes_have_constants_only_where_they_matter() -> None:
    rng = generator(8)
    table = load_language("autorl")
    nodes: list[Node] = [n for n in (random_node(rng, PAIRS, PAIRS.sources) for _ in range(2000)) if n is not None]
    assert all(n.constant == 1.0 for n in nodes if not table.operator(n.op).has_constant)
    assert len({n.constant for n in nodes}) >= 5


@pytest.mark.parametrize("sampling", ["operator", "pair"])
@pytest.mark.parametrize("family", ["value", "policy_gradient"])
def test_programs_are_drawn_as_random_nodes_are_one_by_one(sampling: Sampling, family: str) -> None:
    grammar = Grammar(family=family, nodes=9, sampling=sampling)
    for key in range(60):
        rng, found = generator(key), None
        while found is None:
            sources, nodes = list(grammar.sources), []
            for place in range(grammar.nodes):
                last = place == grammar.nodes - 1
                node = random_node(rng, grammar, sources, frozenset({Type.FLOAT}) if last else ANY)
                assert node is not None
                nodes.append(node)
                graph = Graph(tuple(nodes), family)
                sources.append((len(graph.registers) + place, graph.types[-1]))
            found = trimmed(graph) if not grammar.problems(trimmed(graph)) else None
        assert random_graph(key, grammar) == found
