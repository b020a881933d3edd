"""What is said of the arms beside their scores; and what a score is of, where it is not the mean return."""

import pytest
import synthetic as sy

from autorl.analysis.compare import _question
from autorl.analysis.verdict import _scale
from autorl.analysis.warm_start import published_work, uncounted_work
from autorl.analysis.work import compared_sentence, equal_work
from autorl.outer.prior_files import shipped_prior, to_mapping


def test_parameters_of_compared_teachers_are_said():
    arms = {
        "method": {"candidate": {"teacher": "plr", "teacher.plr.capacity": 7}},
        "default": {},
        "teacher:uniform": {"candidate": {"teacher": "uniform"}},
        "teacher:accel": {"candidate": {"teacher": "accel", "teacher.accel.capacity": 100, "teacher.accel.fill": 0.5}},
    }
    said = "Teachers that were compared have their defaults but for: accel with capacity 100, fill 0.5."
    assert compared_sentence({"arms": arms}) == said
    assert compared_sentence({"arms": {name: arms[name] for name in ("method", "default", "teacher:uniform")}}) == ""
    assert compared_sentence({}) == ""


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ({}, ""),
        ({"task_statistic": "mean", "task_measure": "return"}, ""),
        ({"task_statistic": "cvar"}, " (mean score over the worst tenth of the held-out tasks)"),
        (
            {"task_statistic": "iqm", "task_measure": "success"},
            " (mean success over the middle half of the held-out tasks)",
        ),
        ({"task_statistic": "mean", "task_measure": "success"}, " (mean success over the held-out tasks)"),
    ],
)
def test_the_headline_says_what_a_score_is_of(protocol, said):
    assert _scale(protocol) == said


def test_studies_of_other_tasks_statistics_or_measures_are_of_other_questions():
    one = {
        "environment": {"id": "maze:9x9", "tasks": {"held_out": 10}},
        "evaluation": {"tasks": "mean", "measure": "return"},
    }
    older = {**one, "evaluation": {}}
    assert _question(one) == _question(older)
    for changes in (
        {"evaluation": {"tasks": "cvar"}},
        {"evaluation": {"measure": "success"}},
        {"environment": {"id": "maze:9x9", "tasks": {"held_out": 20}}},
    ):
        assert _question({**one, **changes}) != _question(one)


def test_what_no_score_depends_on_makes_no_other_question():
    place = {"id": "contextual:CartPole-v1"}
    varied = {"vary": {"length": None, "masspole": None}, "seed": 3}
    plain, under_a_teacher = ({"environment": {**place, **more}} for more in ({}, {"tasks": varied}))
    assert _question(plain) == _question(under_a_teacher), "both are scored on the environment's own task"
    turned = {"vary": {"masspole": None, "length": None}, "seed": 4}
    one, other = ({"environment": {**place, "tasks": {**tasks, "grid": 3}}} for tasks in (varied, turned))
    assert _question(one) == _question(other), "a grid is a grid"
    one, other = ({"environment": {**place, "tasks": {**tasks, "held_out": 3}}} for tasks in (varied, turned))
    assert _question(one) != _question(other)
    one, other = (
        {"environment": {**place, "tasks": {"held_out": 3}, "score_range": span}, "evaluation": {"measure": "success"}}
        for span in (None, [0, 1])
    )
    assert _question(one) == _question(other), "success is scaled by nothing"


def searched_with(prior, **search):
    spec = sy.specification("random", search={"method": "random", "prior": prior, **search})
    trials = [*sy.search(count=3), *sy.search(arm="random", count=3)]
    return equal_work(trials, spec)


@pytest.mark.parametrize("learner", ["ppo", "dqn", "sac"])
def test_what_a_shipped_prior_was_learned_from_is_said(learner):
    found = searched_with(to_mapping(shipped_prior(learner)))
    assert found["equal"] is True
    assert found["sentence"].startswith("Equal work: prior and random search were each granted 300 k environment steps")
    said = f"Not counted: the trainings, published with ARLBench, that prior {learner} was learned from."
    assert found["sentence"].endswith(said)
    assert equal_work([], sy.specification())["sentence"] == "No random search beside it so far."


def test_a_prior_of_ones_own_studies_is_work_that_nobody_counts():
    mine = {
        **to_mapping(shipped_prior("ppo")),
        "name": "mine",
        "source": "fitted by `autorl prior fit` to first, second",
        "tasks": {"first": {}, "second": {}},
    }
    found = searched_with(mine)
    assert found["equal"] is False
    reason = "the search drew by prior mine, and the trainings that it was learned from (first, second) are not counted"
    assert found["sentence"].startswith(f"NOT equal work: {reason}. Besides, prior was granted 300 k")
    assert "ARLBench" not in found["sentence"]
    begun = searched_with(mine, warm_start={"study": "first", "taken": {"configurations": 3}})
    both = f"the search began with the best of an earlier one, whose work is not counted; and {reason}."
    assert both in begun["sentence"]


@pytest.mark.parametrize("prior", [None, "none"])
def test_without_a_prior_nothing_is_said_of_one(prior):
    assert uncounted_work({"search": {"prior": prior}}) == published_work({"search": {"prior": prior}}) == ""
    assert uncounted_work({"search": None}) == published_work({}) == ""


def test_finalists_that_took_unlike_work_are_said():
    searched = {arm: sy.search(arm=arm, count=4) for arm in ("method", "random")}
    arms = {arm: [*own, *sy.conclude(own, arm)] for arm, own in searched.items()}
    both = equal_work([*arms["method"], *arms["random"]], sy.specification())["sentence"]
    assert both.startswith("Equal work")
    assert "finalists" not in both
    fewer = [t for t in arms["method"] if t.phase != "finalists" or t.number < 2]
    found = equal_work([*fewer, *arms["random"]], sy.specification())
    assert found["equal"] is True, "the search's work is compared"
    assert "On their finalists' fresh seeds tpe was granted 1 M, random search 1.5 M." in found["sentence"]
