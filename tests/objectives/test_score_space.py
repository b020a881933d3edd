"""A search space of level scores: what is one score, what is none, and which studies may search it."""

import pytest

from autorl.errors import UsageError
from autorl.objectives.graphs.files import graph_from_json
from autorl.objectives.graphs.fingerprint import fingerprint
from autorl.objectives.graphs.level_scores import SCORE_GRAPHS
from autorl.spaces import load_space
from autorl.spaces.plain_values import plain_values
from autorl.spaces.screening import simplest
from autorl.studies.specification import from_mapping, load

SPACE = load_space("curriculum_score_graph")


def graph(*nodes):
    return graph_from_json({"language": "autorl", "family": "level", "nodes": list(nodes)})


MAX_MC = SCORE_GRAPHS["max_mc"]


@pytest.mark.parametrize(
    "same",
    [
        [{"op": "sub", "in": ["max_return", "value"]}, {"op": "scale", "in": [0], "c": 3.0}],
        [{"op": "sub", "in": ["max_return", "value"]}, {"op": "exp", "in": [0]}],
        [{"op": "constant", "c": 7.0}, {"op": "sub", "in": ["value", "max_return"]}, {"op": "sub", "in": [0, 1]}],
    ],
)
def test_scores_that_order_levels_alike_are_one(same):
    assert fingerprint(graph(*same)).key == fingerprint(MAX_MC).key


def test_the_named_scores_are_six():
    assert len({fingerprint(one).key for one in SCORE_GRAPHS.values()}) == 6
    turned = graph({"op": "sub", "in": ["value", "max_return"]})
    assert fingerprint(turned).key != fingerprint(MAX_MC).key, "the reverse order"


def test_what_puts_no_level_before_another_is_not_trained():
    nothing = [{"op": "greater", "in": ["value", "value"]}]
    constant = [{"op": "sub", "in": ["return", "return"]}, {"op": "exp", "in": [0]}]
    assert {fingerprint(graph(*nodes)).kind for nodes in (nothing, constant)} == {"zero"}
    candidate = SPACE.candidate(graph(*nothing))
    assert SPACE.screen([candidate])[0][1] == "zero"


def test_what_a_score_depends_on_is_known():
    found = fingerprint(SCORE_GRAPHS["learnability"], ("success_rate", "value", "return"))
    assert found.depends == ("success_rate",)


def test_samples_mutants_and_crossovers_are_of_the_space():
    candidates = [SPACE.sample(key) for key in range(8)]
    candidates += [SPACE.mutate(key, candidates[key]) for key in range(8)]
    candidates += [SPACE.crossover(key, candidates[key], candidates[-key]) for key in range(1, 8)]
    for candidate in candidates:
        assert SPACE.validate(candidate) == []
        assert SPACE.from_json(SPACE.to_json(candidate)) == candidate
    assert len({SPACE.fingerprint(candidate) for candidate in candidates}) > 10
    assert len(SPACE.starts()) == 5


def test_the_simplest_form_of_a_score_is_found():
    nodes = [
        {"op": "sub", "in": ["max_return", "value"]},
        {"op": "tanh", "in": [0]},
        {"op": "scale", "in": [1], "c": 0.5},
    ]
    assert SPACE.graph(simplest(SPACE, SPACE.candidate(graph(*nodes)))) == MAX_MC


def test_a_candidate_is_its_teachers_parameter():
    (name, value), *rest = plain_values(SPACE, SPACE.starts()[0]).items()
    assert (name, rest) == ("teacher.plr.score", [])
    assert value["nodes"] == 10
    assert "antagonist_return" not in value["registers"]


STUDY = {
    "environment": {"id": "maze:9x9", "tasks": {"held_out": 8}},
    "learner": "ppo",
    "teacher": "plr",
    "search": {"space": "curriculum_score_graph", "method": "evolution"},
    "budget": {"trainings": 8, "env_steps": 10_000},
    "evaluation": {"episodes": 8},
}
REGRET = {"scores": {"registers": ["return", "antagonist_return"], "nodes": 3}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher": "sfl"}, "'teacher.plr.score' is of a teacher that is never chosen"),
        (
            {"search": {"space": {"scores": {"teacher": "uniform"}}, "method": "evolution"}, "teacher": "uniform"},
            "score",
        ),
        ({"search": {"space": REGRET, "method": "evolution"}}, "needs antagonist_returns, which ppo cannot tell it"),
        ({"teacher": "paired", "search": None}, "ppo cannot tell it; paired_ppo, two agents in lockstep, can"),
        ({"search": {"space": "curriculum_score_graph", "method": "tpe"}}, "graph"),
        ({"search": {"space": {"scores": {"start": ["max_mcc"]}}}}, "Did you mean 'max_mc'"),
        ({"search": {"space": {"scores": {"family": "value"}}}}, "scores are of the family 'level'"),
        ({"search": {"space": {"scores": {"register": ["value"]}}}}, "unknown field 'register'"),
    ],
)
def test_studies_that_cannot_search_it_are_refused(changes, message):
    with pytest.raises(UsageError) as caught:
        from_mapping({**STUDY, **changes})
    assert message in str(caught.value)


def test_studies_may_search_it():
    regret = {**STUDY, "learner": "paired_ppo", "search": {"space": REGRET, "method": "evolution"}}
    assert from_mapping(regret).learner.algorithm == "paired_ppo"
    shipped = load("search_over_scores", references=False)
    assert [choice.tasks.seed for choice in shipped.environments] == [0, 1], (
        "tested in other mazes than those searched in"
    )
