"""Priors as files: written and read without loss, every mistake named, and the shipped ones what they say."""

import copy

import pytest
from test_priors import EFFECTS, RULERS

from autorl import catalogue
from autorl.errors import UsageError
from autorl.outer.prior_files import load_prior, parse_prior, prior_file, shipped_prior, to_mapping
from autorl.outer.priors import Prior, PriorTask
from autorl.spaces import load_space

PRIOR = Prior(
    "mine",
    "dqn",
    'from "here": all',
    0.25,
    RULERS,
    (PriorTask("a: b", ("e:x", "e:y"), EFFECTS), PriorTask("c", (), EFFECTS)),
)


def test_a_file_is_read_back_as_it_was_written(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(prior_file(PRIOR))
    assert load_prior(str(path)) == PRIOR
    assert load_prior(to_mapping(PRIOR)) == PRIOR
    assert path.read_text().startswith("# Which configurations of dqn are likely to be good, learned from 2 tasks.")


def changed(path, value):
    data = copy.deepcopy(to_mapping(PRIOR))
    *inner, last = path
    place = data
    for key in inner:
        place = place[key]
    place[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (["surprise"], 1, "unknown field 'surprise'"),
        (["name"], "", "name: expected text, got ''"),
        (["learner"], 3, "learner: expected text or nothing, got 3"),
        (["noise"], -0.1, "noise: expected a number of at least 0, got -0.1"),
        (["noise"], float("nan"), "noise: expected a number"),
        (["dimensions"], {}, "dimensions: expected a mapping"),
        (["tasks"], None, "tasks: expected a mapping"),
        (["dimensions", "rate"], {"low": 1}, "dimensions: rate: high must be a finite number"),
        (["dimensions", "rate"], {"low": 1, "high": 2, "knots": 3}, "dimensions: rate: expected {}"),
        (["dimensions", "on"], {"choices": []}, "dimensions: on: expected a list of choices"),
        (["tasks", "c"], [], r"tasks: c: expected {environments, effects}, got \[\]"),
        (["tasks", "c", "environments"], "e:x", "tasks: c: environments: expected a list"),
        (["tasks", "c", "effects", "on"], [1], r"tasks: c: effects: on: expected 2 numbers, got \[1\]"),
        (["tasks", "c", "effects", "rate"], [1, 2, 3, 4, "x"], "effects: rate: expected 5 numbers"),
        (["tasks", "c", "effects", "tau"], [1], "effects: tau: no such dimension"),
    ],
)
def test_every_mistake_is_named_with_a_remedy(path, value, expected):
    with pytest.raises(UsageError, match=expected) as caught:
        parse_prior(changed(path, value), "f.yaml")
    assert "prior 'f.yaml': " in str(caught.value)
    assert "autorl prior fit" in str(caught.value)


def test_files_that_are_none(tmp_path):
    for reference, expected in (("gone.yaml", "no such file"), ("dqn", "expected auto, none, or a path")):
        with pytest.raises(UsageError, match=expected):
            load_prior(reference)
    (tmp_path / "deep.yaml").write_text("a: &x [1]\nb: *x\n")
    with pytest.raises(UsageError, match="not allowed"):
        load_prior(str(tmp_path / "deep.yaml"))


def test_own_priors_come_before_the_shipped_ones(tmp_path, monkeypatch):
    shipped = shipped_prior("dqn")
    monkeypatch.chdir(tmp_path)
    assert shipped_prior("dqn") == shipped
    assert shipped_prior("../dqn") is shipped_prior("unheard") is None
    (tmp_path / "search_spaces" / "priors").mkdir(parents=True)
    (tmp_path / "search_spaces" / "priors" / "dqn.yaml").write_text(prior_file(PRIOR))
    assert shipped_prior("dqn") == PRIOR


@pytest.mark.parametrize(("learner", "tasks"), [("dqn", 7), ("ppo", 5), ("sac", 6)])
def test_the_shipped_ones_fit_the_published_spaces_and_say_where_they_are_from(learner, tasks):
    prior = shipped_prior(learner)
    assert (prior.learner, len(prior.tasks)) == (learner, tasks)
    assert "--fit-prior" in prior.source
    assert "Becktepe et al., 2024" in prior.source
    assert 0.5 < prior.noise < 1.0
    space = load_space(f"{learner}_arlbench")
    assert set(prior.shared(space)) == set(space.searched) == set(prior.rulers)
    slow, middle, fast = (prior.utility(space, {"learning_rate": rate}) for rate in (1e-6, 3e-4, 0.1))
    assert middle > max(slow, fast), "no task learns best at the ends of the range"
    assert prior.without({"gymnax:CartPole-v1", "gymnax:Pendulum-v1"}).tasks != prior.tasks


def test_a_folder_of_priors_is_no_search_space():
    assert "priors" not in catalogue.names("search_spaces")
