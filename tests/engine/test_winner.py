"""The best trial of a study as its record shows it is the one that the engine tests."""

from dataclasses import replace

from autorl.analysis.result import summarise
from autorl.engine.winner import best_of, sizes
from autorl.objectives.loader import load_objective
from autorl.outer.protocol import Status
from autorl.spaces import load_space
from autorl.studies.trial import Trial

SPACE = load_space("loss_value")
SPECIFICATION = {
    "name": "losses", "search": {"space": "loss_value", "method": "evolution"}, "parsimony": 0.01,
    "learner": {"algorithm": "dqn"}, "environment": [{"id": "mdp:lottery"}],
}  # fmt: skip


def finalist(number, name, scores):
    graph = load_objective(name).graph
    return Trial(
        "method", "finalists", number, SPACE.to_json(SPACE.candidate(graph)), 100, source=number, seeds=(5, 6, 7, 8),
        scores=(tuple(scores),), score=sum(scores) / 4, status=Status.COMPLETED,
    )  # fmt: skip


LARGE = finalist(0, "dqnreg_code", [0.91, 0.95, 0.93, 0.97])
SMALL = finalist(1, "dqn", [0.90, 0.95, 0.93, 0.97])


def test_before_the_test_the_best_is_the_finalist_that_will_be_tested():
    of = sizes(SPACE)
    assert of(SMALL) < of(LARGE)
    assert best_of([LARGE, SMALL], SPACE, 0.01) is SMALL
    assert best_of([LARGE, SMALL], None, 0.0) is LARGE, "where sizes do not matter, the higher mean"
    assert summarise([LARGE, SMALL], SPECIFICATION)["winner"]["source"] == SMALL.source


def test_what_is_tested_is_the_best_whatever_chose_it():
    tested = replace(LARGE, phase="test", number=0, seeds=(9,), scores=((0.1,),), score=0.1)
    assert best_of([LARGE, SMALL, tested], SPACE, 0.01) is LARGE
    assert best_of([tested], SPACE, 0.01) is tested


def searched(number, name, score):
    graph = load_objective(name).graph
    return Trial(
        "method", "search", number, SPACE.to_json(SPACE.candidate(graph)), 100, seeds=(1,), scores=((score,),), score=score,
        status=Status.COMPLETED,
    )  # fmt: skip


def test_without_finalists_the_best_is_what_is_tested():
    lucky, unlucky, steady = searched(0, "dqn", 0.97), searched(1, "dqn", 0.70), searched(2, "dqnreg_code", 0.90)
    trials = [lucky, unlucky, steady]
    assert best_of(trials, SPACE, 0.0) is steady, "one behaviour is worth the mean of its scores, not the luckiest"
    assert best_of(trials, None, 0.0) is steady, "so too where candidates are compared as written"
    tested = replace(lucky, phase="test", number=0, source=0, seeds=(9,), scores=((0.1,),), score=0.1)
    best = best_of([*trials, tested], SPACE, 0.0)
    assert (best.phase, best.number, best.score) == ("search", 0, 0.97), (
        "what an older version chose is what was tested"
    )
    assert best.candidate == tested.candidate
