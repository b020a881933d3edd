"""The hall of fame: equal behaviour shares a row and a mean, lineages go back to the start, the report shows both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from synthetic import MANIFEST, specification

from autorl.analysis.hall_of_fame import fame_table, hall_of_fame, lineage, lineage_table, parts
from autorl.analysis.report import render
from autorl.engine.winner import searches_graphs
from autorl.objectives.graphs.canonical import canonical, key
from autorl.objectives.graphs.files import graph_from_json, graph_to_json
from autorl.objectives.graphs.starts_coreyes import graph_of
from autorl.outer.protocol import Status
from autorl.spaces import Float, HyperparameterSpace, ProductSpace, load_space
from autorl.studies.trial import Trial

SPACE = load_space("loss_value")
TD: list[dict[str, Any]] = [
    {"op": "max_a", "in": ["q_target_next"]},
    {"op": "mul", "in": ["discount", 0]},
    {"op": "add", "in": ["reward", 1]},
    {"op": "sub", "in": ["q_action", 2]},
]
SQUARE: list[dict[str, Any]] = [*TD, {"op": "square", "in": [3]}]
HALF: list[dict[str, Any]] = [*SQUARE, {"op": "scale", "in": [4], "c": 0.5}]  # the same to Adam
ABSOLUTE: list[dict[str, Any]] = [*TD, {"op": "abs", "in": [3]}]
REGULAR: list[dict[str, Any]] = [*SQUARE, {"op": "scale", "in": ["q_action"], "c": 0.1}, {"op": "add", "in": [4, 5]}]


def trial(number: int, nodes: list[dict[str, Any]], score: float | None, **changes: Any) -> Trial:
    graph = graph_from_json({"language": "autorl", "family": "value", "nodes": nodes})
    return Trial(
        arm="method",
        phase="search",
        number=number,
        candidate={"graph": graph_to_json(graph)},
        env_steps=1000,
        seeds=(100 + number,),
        status=Status.COMPLETED if score is not None else Status.DIVERGED,
        score=score,
        scores=((score,),),
        **changes,
    )


TRIALS = [
    trial(0, ABSOLUTE, 10.0, origin="sample"),
    trial(1, SQUARE, 50.0, origin="mutate", ancestor=0),
    trial(2, HALF, 30.0, origin="mutate", ancestor=1),
    trial(3, REGULAR, 45.0, origin="mutate", ancestor=1),
    trial(4, ABSOLUTE, None, origin="mutate", ancestor=3),
    trial(5, REGULAR, 47.0, origin="mutate", ancestor=3),
]


def test_losses_of_equal_behaviour_share_a_row_and_a_mean() -> None:
    found = hall_of_fame(TRIALS, SPACE)
    assert [(f.trials, f.score, f.seeds) for f in found] == [
        ((5, 3), 46.0, 2),
        ((1, 2), 40.0, 2),  # one of them had a lucky seed
        ((0,), 10.0, 1),
    ]
    assert [f.size for f in found] == [7, 5, 5]
    assert len(hall_of_fame(TRIALS, SPACE, count=2)) == 2


def test_more_seeds_weigh_more() -> None:
    many = [replace(TRIALS[1], seeds=(1, 2, 3)), TRIALS[2]]
    (fame,) = hall_of_fame(many, SPACE)
    assert fame.score == pytest.approx((3 * 50 + 30) / 4)
    assert fame.seeds == 4


def test_the_table_names_losses_by_their_formula() -> None:
    rows = fame_table(hall_of_fame(TRIALS, SPACE)).rows
    assert rows[0][:6] == ("1", "5", "46.00", "2", "2", "7")
    assert rows[0][6] == (
        "0.1 * q_action + delta^2, where delta = q_action - (reward + discount * max_a(q_target_next))"
    )


def test_the_lineage_goes_back_to_the_start() -> None:
    steps = lineage(TRIALS, SPACE, 5)
    assert [(s.trial, s.origin) for s in steps] == [(0, "sample"), (1, "mutate"), (3, "mutate"), (5, "mutate")]
    assert [row[2] for row in lineage_table(steps).rows] == ["10.00", "50.00", "45.00", "47.00"]
    assert [s.trial for s in lineage(TRIALS, SPACE, 0)] == [0]


def test_a_lineage_of_a_damaged_record_ends() -> None:
    circle = [replace(TRIALS[0], ancestor=1), TRIALS[1]]
    assert [s.trial for s in lineage(circle, SPACE, 1)] == [0, 1]
    assert [s.trial for s in lineage(TRIALS[1:], SPACE, 1)] == [1]


def test_studies_of_hyperparameters_have_no_hall() -> None:
    space = load_space("ppo_arlbench")
    assert not searches_graphs(space)
    assert parts([replace(TRIALS[0], candidate={"gamma": 0.9})], space, 0) == ([], None)
    assert parts([], SPACE, None) == ([], None)


def test_a_search_without_a_completed_trial_has_no_hall() -> None:
    assert parts([TRIALS[4]], SPACE, None) == ([], None)


def test_the_report_of_a_loss_search_shows_hall_and_lineage() -> None:
    chosen = specification(
        "regularized_evolution", trainings=6, search={"space": "loss_value", "method": "regularized_evolution"}
    )
    drawn: dict[str, str] = {}
    text = render(TRIALS, chosen, MANIFEST, SPACE, drawn)
    assert "<h2>Hall of fame</h2>" in text
    assert "Best different losses" in text
    assert "How the winner came about" in text
    assert "loss-graph" in drawn
    assert "<script" not in text


def test_level_scores_have_a_hall_of_fame_too() -> None:
    space = load_space("curriculum_score_graph")
    difference = [{"op": "sub", "in": ["max_return", "value"]}]
    nodes = {
        0: [{"op": "scale", "in": ["return"], "c": 1.0}],
        1: difference,
        2: [*difference, {"op": "exp", "in": [0]}],  # the same order of levels
    }
    trials = [
        replace(
            trial(i, ABSOLUTE, score, origin="mutate", ancestor=i - 1 if i else None),
            candidate={"graph": {"language": "autorl", "family": "level", "nodes": nodes[i]}},
        )
        for i, score in ((0, 0.2), (1, 0.9), (2, 0.7))
    ]
    assert searches_graphs(space)
    best, _ = found = hall_of_fame(trials, space)
    assert (best.trials, best.score, best.size) == ((1, 2), pytest.approx(0.8), 1)
    table = fame_table(found)
    assert (table.title, table.columns[-1].name) == ("Best different level scores", "level score")
    assert table.rows[0][-1] == "max_return - value"
    made, picture = parts(trials, space, 1)
    assert "score = max_return - value" in "".join(made)
    assert picture is not None


def test_a_loss_that_draws_random_numbers_has_a_place_too() -> None:
    drawn = graph_of(
        ("q_value_list", "q_param", "s_tm1"),
        ("select_list", "0", "action"),
        ("constant_gaussian", "constant"),
        ("min", "1", "2"),
    )
    assert key(canonical(drawn)) == key(drawn)
    own = replace(TRIALS[0], candidate={"graph": graph_to_json(drawn)})
    assert [fame.trials for fame in hall_of_fame([own], load_space("loss_coreyes2021"))] == [(0,)]


def test_with_hyperparameters_a_loss_is_worth_what_it_is_with_its_best_ones() -> None:
    rates = HyperparameterSpace("rates", {"learning_rate": Float(1e-5, 1e-1, "log")})
    space = ProductSpace({"objective": SPACE, "learner": rates})

    def joint(
        number: int, nodes: list[dict[str, Any]], rate: float, score: float, ancestor: int | None = None
    ) -> Trial:
        plain = trial(number, nodes, score, origin="mutate", ancestor=ancestor)
        return replace(plain, candidate={"objective": plain.candidate, "learner": {"learning_rate": rate}})

    trials = [
        joint(0, ABSOLUTE, 1e-3, 80.0),  # drawn once, with a lucky rate
        joint(1, SQUARE, 1e-1, 5.0),
        joint(2, SQUARE, 1e-3, 90.0, 1),
        joint(3, HALF, 1e-3, 86.0, 2),
        joint(4, SQUARE, 1e-2, 20.0, 2),
    ]
    found = hall_of_fame(trials, space)
    assert [(f.trials, f.score, f.seeds, dict(f.others)) for f in found] == [
        ((2, 3, 4, 1), 88.0, 2, {"learning_rate": 1e-3}),
        ((0,), 80.0, 1, {"learning_rate": 1e-3}),
    ]
    table = fame_table(found)
    assert (table.columns[-1].name, table.rows[0][-1]) == ("with", "learning_rate 0.0010")
    changed = lineage_table(lineage(trials, space, 3))
    assert [row[-1] for row in changed.rows] == ["learning_rate 0.1000", "learning_rate 0.0010", ""]
