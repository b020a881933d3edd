"""A policy to imitate is checked before a study, held to what it was, and said to be uncounted."""

import re

import jax.numpy as jnp
import pytest

import autorl
from autorl.analysis.compare import compare_studies
from autorl.analysis.work import guide_sentence
from autorl.environments.registry import make_environment
from autorl.errors import UsageError
from autorl.studies.guide_references import distilled
from autorl.studies.kept_policy import guide_env_steps
from autorl.studies.problems import SpecificationError

SIZES = {"hidden_size": 8, "n_envs": 2, "n_steps": 32, "minibatch_size": 64, "update_epochs": 1}
SMALL = {
    "environment": "gymnax:CartPole-v1",
    "learner": {"algorithm": "ppo", "hyperparameters": SIZES},
    "budget": {"env_steps": 256},
    "seeds": {"test": 2},
    "evaluation": {"episodes": 2, "points": 1},
    "baselines": {"default": False, "random": False},
}
IMITATES = "learner.hyperparameters.distill_from"


def stay(observation, key):
    return jnp.int32(0)


def wrong(observation, key):
    return jnp.float32(0.5)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a folder with a finished study, ``first``."""
    path = tmp_path_factory.mktemp("studies")
    autorl.run(SMALL, name="first", root=path)
    return path


def imitating(reference):
    return {**SMALL, "learner": {"algorithm": "ppo", "hyperparameters": {**SIZES, "distill_from": reference}}}


def test_a_study_imitates_another_says_so_and_keeps_count_of_its_ancestors(root):
    made = autorl.run(imitating("study:first"), {"seeds.study": 1}, name="second", root=root)
    pin = made.specification.learner.hyperparameters["distill_from"]
    assert re.fullmatch(rf"study:{re.escape(str((root / 'first').resolve()))}#[0-9a-f]{{64}}", pin)
    assert made.result["guide_env_steps"] == {"method": 256}
    assert "NOT counted: the env steps that trained the guide itself" in guide_sentence(made.result)
    assert "NOT counted" in made.folder.report.read_text()
    environment = make_environment("gymnax:CartPole-v1")
    assert guide_env_steps(f"study:{root / 'first'}", environment) == 256
    assert guide_env_steps(f"study:{root / 'second'}", environment) == 512
    assert autorl.resume("second", root=root).finished


def test_a_guide_of_one_environment_goes_before_that_of_all(root):
    environment = {"id": "gymnax:CartPole-v1", "hyperparameters": {"distill_from": "study:first"}}
    for given in (environment, [environment]):
        made = autorl.create({**imitating("no_module:guide"), "environment": given}, name="own", root=root)
        own = made.specification.environments[0].hyperparameters["distill_from"]
        assert own.startswith(f"study:{(root / 'first').resolve()}#")


def test_another_policy_than_at_first_is_refused(root):
    path = (root / "first").resolve()
    with pytest.raises(SpecificationError, match="keeps another policy than when this study was made"):
        autorl.create(imitating(f"study:{path}#{'0' * 64}"), root=root)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("study:nowhere", "there is no study 'nowhere'"),
        ("no_such_module:guide", "guide: no module named 'no_such_module'"),
        ("tests_of_guides", "guide: "),
        (f"{__name__}:wrong", r"expected an integer from 0 to 1, .*got 0.5 of shape \(\) and type float32"),
        (7, "expected 'module:attribute', a function from .*, got 7"),
        ("", "expected 'module:attribute', a function from "),
    ],
)
def test_a_guide_that_cannot_be_imitated_is_refused_before_the_study(reference, message, root):
    with pytest.raises(UsageError, match=message) as caught:
        autorl.create(imitating(reference), name="bad", root=root)
    assert not (root / "bad").exists()
    if not str(reference).startswith("study:"):
        assert IMITATES in str(caught.value)


def test_guides_that_are_searched_are_pinned_ones(root):
    guides = {"type": "categorical", "choices": ["study:first", f"{__name__}:stay"]}
    search = {"space": {"name": "guides", "dimensions": {"distill_from": guides}}, "method": "random"}
    with pytest.raises(
        SpecificationError, match="distill_from: expected a study with the digest of its policy"
    ) as caught:
        autorl.create({**SMALL, "search": search}, name="searched", root=root)
    assert "Write study:PATH#DIGEST" in str(caught.value)


def test_a_search_may_ask_whether_to_imitate(root):
    guides = {"type": "categorical", "choices": ["none", f"{__name__}:stay"]}
    search = {"space": {"name": "guides", "dimensions": {"distill_from": guides}}, "method": "random"}
    given = {
        **SMALL,
        "search": search,
        "budget": {"trainings": 4, "env_steps": 256},
        "seeds": {"study": 1, "test": 2, "tuning": 1},
    }
    made = autorl.run(given, name="asked", root=root)
    assert {t.candidate["distill_from"] for t in made.trials()} == {"none", f"{__name__}:stay"}
    assert all(t.status.value == "completed" for t in made.trials(None, None))
    assert made.result["guide_env_steps"] == {}, "no study's policy guided"


def test_a_comparison_says_who_had_ancestors(root):
    autorl.run(imitating("study:first"), {"seeds.study": 2}, name="heir", root=root)
    given = [
        (name, s.plain_specification(), s.trials(None, None))
        for name in ("first", "heir")
        for s in [autorl.load(name, root=root)]
    ]
    (warning,) = [w for w in compare_studies(given)["warnings"] if "imitated" in w]
    assert warning.startswith("NOT equal work: heir followed or imitated the policy of an earlier study")


def test_a_guide_is_fixed_while_an_agent_learns_and_checked_at_the_first_entry(root):
    def entries(*references):
        hyperparameters = [{**SIZES, **({} if one is None else {"distill_from": one})} for one in references]
        return [
            {"until": 256 * (i + 1) // len(hyperparameters), "hyperparameters": own}
            for i, own in enumerate(hyperparameters)
        ]

    given = {**SMALL, "learner": "ppo"}
    with pytest.raises(SpecificationError, match="distill_from shapes the program and cannot change while"):
        autorl.create({**given, "schedule": entries(f"{__name__}:stay", None)}, name="changing", root=root)
    with pytest.raises(SpecificationError, match="no module named 'no_such_module'"):
        autorl.create({**given, "schedule": entries("no_such_module:guide")}, name="changing", root=root)


def test_other_learners_have_no_such_hyperparameter(root):
    with pytest.raises(SpecificationError, match="unknown hyperparameter 'distill_from'"):
        autorl.create(
            {**SMALL, "learner": {"algorithm": "dqn", "hyperparameters": {"distill_from": "study:first"}}}, root=root
        )


def test_a_guide_is_looked_up_only_with_its_digest():
    environment = make_environment("gymnax:CartPole-v1")
    assert distilled(f"{__name__}:stay", environment).guide is stay
    with pytest.raises(UsageError, match=r"distill_from: expected a study with the digest .*, got 'study:x'. Write "):
        distilled("study:x", environment)
