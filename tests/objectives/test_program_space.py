"""The search space of Co-Reyes et al.'s programs, and the names that tell its losses apart."""

from __future__ import annotations

import numpy as np
import pytest

from autorl.errors import UsageError
from autorl.objectives.graphs.canonical import canonical, key
from autorl.objectives.graphs.constants_space import ConstantsSpace
from autorl.objectives.graphs.files import graph_from_json
from autorl.objectives.graphs.fingerprint import fingerprint, fingerprints
from autorl.objectives.graphs.fingerprint_coreyes import value_sum
from autorl.objectives.graphs.graph import GraphError
from autorl.objectives.graphs.interpreter_coreyes import InterpretedNetworkLoss
from autorl.objectives.graphs.program_coreyes import NetworkSignature
from autorl.objectives.graphs.program_space import ProgramSpace
from autorl.objectives.graphs.programs_coreyes import RELEASED, Quirks, random_program, with_loss_weight
from autorl.objectives.graphs.runners import compiled, fused, interpreted
from autorl.objectives.graphs.starts_coreyes import REFERENCES, STARTS, graph_of
from autorl.objectives.loader import load_objective
from autorl.spaces.files import load_space

_Q = (("q_value_list", "q_param", "s_tm1"), ("select_list", "0", "action"))
_DQN = (*_Q, ("q_value_list", "q_targ_param", "s_t"), ("max_list", "2"), ("dot_product", "discount", "3"))
_ERROR = (*_DQN, ("add", "reward", "4"), ("subtract", "1", "5"))
SQUARED = graph_of(*_ERROR, ("l2_norm", "6"))
HALF = REFERENCES["normal_dqn"]
SHIFTED = graph_of(*_ERROR, ("l2_norm", "6"), ("l2_norm", "reward"), ("add", "7", "8"))
ABSOLUTE = graph_of(*_ERROR, ("abs", "6"))


def space(**fields):
    return load_space({"name": "programs", "programs": fields})


def test_losses_that_train_alike_have_one_name_and_the_original_names_see_values() -> None:
    half, squared, shifted, absolute, ddqn = fingerprints([HALF, SQUARED, SHIFTED, ABSOLUTE, REFERENCES["ddqn"]])
    assert half.key == squared.key == shifted.key
    assert half.exact_key != squared.exact_key == shifted.exact_key
    assert len({half.key, absolute.key, ddqn.key}) == 3
    sums = [value_sum(graph) for graph in (HALF, SQUARED, SHIFTED, ABSOLUTE)]
    assert len(set(sums)) == 4
    assert sums == [value_sum(graph) for graph in (HALF, SQUARED, SHIFTED, ABSOLUTE)]
    total = float(sums[1])
    assert float(sums[0]) == pytest.approx(total / 2, rel=1e-6)


def test_names_do_not_depend_on_company_or_dead_nodes() -> None:
    rng = np.random.default_rng(0)
    graphs = [random_program(rng, STARTS["pre_graph_8_scratch"]) for _ in range(40)]
    together = fingerprints([*graphs, HALF])
    assert together[-1] == fingerprint(HALF)
    assert [fingerprint(graph) for graph in graphs[:3]] == together[:3]
    for graph, found in zip(graphs[:10], together, strict=False):
        assert fingerprint(canonical(graph)) == found


def test_slopes_that_are_nothing_or_no_number_are_told() -> None:
    nothing = graph_of(
        ("q_value_list", "q_param", "s_tm1"),
        ("arg_max_list", "0"),
        ("q_value_list", "q_targ_param", "s_tm1"),
        ("select_list", "2", "1"),
    )
    assert fingerprint(nothing).kind == "zero"
    steep = graph_of(*_Q, *(("exp", str(i)) for i in (1, 2, 3)))
    assert fingerprint(steep).kind in ("zero", "non_finite")
    assert value_sum(graph_of(*_Q, ("l2_norm", "1"), ("subtract", "1", "1"))) == "0.0000"


@pytest.mark.slow
def test_what_slopes_depend_on() -> None:
    asked = ("reward", "discount", "action", "s_tm1", "s_t", "q_targ_param", "constant")
    assert set(fingerprint(HALF, asked).depends) == set(asked) - {"constant"}
    assert fingerprint(graph_of(*_Q), asked).depends == ("action", "s_tm1")
    noisy = graph_of(*_Q, ("constant_uniform", "constant"), ("dot_product", "1", "2"))
    assert fingerprint(noisy, asked).depends == ("action", "s_tm1", "constant")
    with pytest.raises(GraphError, match="no register 'progress'"):
        fingerprint(HALF, ("progress",))


def test_two_draws_are_never_merged_but_two_constants_are() -> None:
    draws = graph_of(
        *_Q, ("constant_gaussian", "constant"), ("constant_gaussian", "constant"), ("add", "2", "3"), ("add", "1", "4")
    )
    assert len(canonical(draws).nodes) == 6
    halves = graph_of(
        *_Q, ("constant_p5", "constant"), ("constant_p5", "constant"), ("add", "2", "3"), ("add", "1", "4")
    )
    assert len(canonical(halves).nodes) == 5
    assert key(draws) != key(halves)


def test_file_of_the_catalogue_is_the_released_scratch_search() -> None:
    found = load_space("loss_coreyes2021")
    assert isinstance(found, ProgramSpace)
    assert (found.nodes, len(found.operators), found.program) == (18, 33, "pre_graph_8_scratch")
    assert isinstance(found.signature, NetworkSignature)
    assert found.features() == {"graph"}


@pytest.mark.parametrize("fields", [{}, {"quirks": "released", "naming": "value_sum"}, {"weighted": True}])
def test_candidates_stay_in_the_space(fields) -> None:
    programs = space(**fields)
    assert programs.sample(5) == programs.sample(5) != programs.sample(6)
    candidate = programs.sample(1)
    for i in range(20):
        assert programs.validate(candidate) == []
        assert programs.from_json(programs.to_json(candidate)) == candidate
        assert programs.signature.covers(programs.graph(candidate))
        candidate = (programs.mutate, lambda k, c: programs.crossover(k, c, programs.sample(9)))[i % 2](i, candidate)
    names = programs.screen([candidate, candidate])
    assert names[0] == names[1]


def test_as_released_nothing_is_rejected_untrained() -> None:
    ours, released = space(requires=["reward"]), space(naming="value_sum")
    reasons = [ours.screen([released.sample(i)])[0][1] for i in range(12)]
    assert any(reason is not None for reason in reasons), (
        "programs that ignore the reward among them, as its code drew them"
    )
    assert all(ours.screen([ours.sample(i)])[0][1] is None for i in range(12))
    assert released.screen([released.sample(0)])[0][1] is None


def test_a_free_search_in_the_papers_language_draws_what_an_interpreter_runs() -> None:
    free = load_space({"name": "free", "graphs": {"language": "coreyes2021", "family": "network"}})
    assert len(free.grammar.operators) == 33
    candidate = free.sample(0)
    for i in range(8):
        assert free.signature.covers(free.graph(candidate))
        candidate = free.mutate(i, candidate)
    with pytest.raises(UsageError, match="no interpreter runs q_value, state_encoder"):
        load_space(
            {
                "name": "free",
                "graphs": {"language": "coreyes2021", "family": "network", "operators": ["state_encoder", "q_value"]},
            }
        )


def test_constants_of_a_program_are_tuned_in_the_interpreter_too() -> None:
    weighted = with_loss_weight(load_objective("coreyes_dqn_reg").graph, 0.5)
    constants = ConstantsSpace("weights", weighted)
    candidate = constants.sample(0)
    assert isinstance(constants.signature, NetworkSignature)
    assert isinstance(
        interpreted(graph_from_json(candidate["graph"], "graph"), constants.signature), InterpretedNetworkLoss
    )


def test_quirks_by_name() -> None:
    assert space(quirks="released").quirks == RELEASED
    assert space(quirks=["skips_previous"]).quirks == Quirks(skips_previous=True)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"program": "pre_graph_12"}, "start: expected one of pre_graph_6"),
        ({"quirks": "all"}, "quirks: expected 'paper', 'released' or a list"),
        ({"quirks": ["off"]}, "quirks: expected"),
        ({"naming": "values"}, "naming: expected slope or value_sum, got 'values'"),
        ({"nodes": 4}, "unknown field 'nodes'"),
        ({"weighted": 1}, "true or false as weighted"),
        ({"requires": "reward"}, "requires: expected a list"),
    ],
)
def test_malformed_fields_are_refused(fields, message) -> None:
    with pytest.raises(UsageError, match=message):
        space(**fields)


def test_candidates_of_other_spaces_are_refused() -> None:
    programs = space()
    assert "expected 18 nodes" in " ".join(programs.validate(programs.candidate(HALF)))
    other = space(program="pre_graph_9_existingdqn_nofreeze")
    assert programs.validate(other.sample(1))
    assert programs.validate({"graph": {"language": "autorl"}})
    with pytest.raises(UsageError, match="decided by program"):
        ProgramSpace("mine", operators=("add",))


def test_back_ends_by_family() -> None:
    dqn, network = load_objective("dqn").graph, HALF
    families = [loss.family for loss in fused([dqn, network, dqn, REFERENCES["cql"]])]
    assert families == ["value", "network", "value", "network"]
    assert (compiled(dqn).family, compiled(network).family) == ("value", "network")
    assert interpreted(network, NetworkSignature.covering([network])).family == "network"
