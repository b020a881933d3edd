"""The policy that a study keeps acts elsewhere as it did there, and a bad name or file gives one clear error."""

import json
import re
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import autorl
from autorl.analysis.held_out import lessons_summary
from autorl.analysis.tables import render_result
from autorl.analysis.work import guide_sentence
from autorl.engine.lanes import Agent, Outcome
from autorl.engine.session import Session
from autorl.environments.protocol import Box, Discrete
from autorl.environments.registry import make_environment
from autorl.errors import StudyError, UsageError
from autorl.inner.algorithms import ALGORITHMS
from autorl.inner.optimiser import initial_adam
from autorl.inner.paired_ppo import PairedState, Student
from autorl.outer.protocol import Status
from autorl.studies import checkpoint
from autorl.studies.folder import StudyFolder
from autorl.studies.kept_policy import NAME, Trained, _described, guide_env_steps, guide_of, keep, kept_policy
from autorl.studies.problems import SpecificationError
from autorl.studies.trial import Trial

SIZES = {"hidden_size": 16, "n_layers": 1, "n_envs": 1}
PLACES = {"ppo": "gymnax:CartPole-v1", "dqn": "gymnax:CartPole-v1", "sac": "gymnax:Pendulum-v1"}

SMALL = {
    "environment": {"id": "contextual:CartPole-v1", "score_range": [0, 500]},
    "learner": {"algorithm": "ppo", "hyperparameters": {**SIZES, "n_envs": 2, "n_steps": 64}},
    "budget": {"env_steps": 1024},
    "seeds": {"test": 2},
    "evaluation": {"episodes": 4, "points": 1},
    "baselines": {"default": False, "random": False},
}


@cache
def trained(algorithm, name, seed=0):
    """Return an untrained agent whose observations have moments, to keep; and its actions in some observations."""
    environment = make_environment(name)
    learner = ALGORITHMS.load(algorithm)(environment)
    hp = learner.prepare({**SIZES, "normalize_observations": True}, 10_000, {})
    state = jax.jit(lambda key: learner.init(key, hp, environment.default_task()))(jax.random.key(seed))
    state = state._replace(moments=state.moments._replace(mean=state.moments.mean + 0.1))
    seen = 3 * np.random.default_rng(0).normal(size=(20, *environment.observation_shape)).astype(np.float32)
    values = {name: np.asarray(getattr(hp, name)).item() for name in learner.acts_by}
    agent = Trained(environment, algorithm, values, 3, 1.5, 640, jax.tree.map(np.asarray, learner.acting(state)))
    return agent, seen, jax.jit(learner.actor(learner.acting(state), hp))(seen, jax.random.key(1))


def study(path, *agents):
    path.mkdir(exist_ok=True)
    folder = StudyFolder(path)
    folder.specification.write_text("name: kept\n")
    if agents:
        keep(folder, agents)
    return folder


@pytest.mark.parametrize(
    "algorithm", [name if name == "dqn" else pytest.param(name, marks=pytest.mark.slow) for name in PLACES]
)
def test_a_kept_policy_acts_as_the_agent_did(algorithm, tmp_path):
    agent, seen, actions = trained(algorithm, PLACES[algorithm])
    folder = study(tmp_path / "kept", agent)
    found = guide_of(f"study:{folder.path}", agent.environment)
    acted = jax.jit(jax.vmap(found, (0, None)))(seen, jax.random.key(1))
    np.testing.assert_allclose(acted, actions, rtol=1e-5)
    assert np.ptp(np.asarray(actions)) > 0, "else nothing is told apart"
    assert found == kept_policy("kept", agent.environment, tmp_path)
    assert hash(found) == hash(kept_policy("kept", agent.environment, tmp_path))
    other, _, _ = trained(algorithm, PLACES[algorithm], seed=1)
    keep(folder, [other])
    assert found != kept_policy(folder.path, agent.environment)


class Elsewhere:
    """An environment with other actions, as a user may write them."""

    name, observation_shape = "own:elsewhere", (4,)

    def __init__(self, action_space):
        self.action_space = action_space


@pytest.mark.parametrize(
    ("space", "described"),
    [
        (Discrete(np.int64(3)), {"actions": 3}),
        (Box(np.float32(-0.1), np.float32(1), (np.int64(2),)), {"low": float(np.float32(-0.1)), "high": 1.0, "shape": [2]}),
        (Box(-np.inf, np.float32(np.inf), (1,)), {"low": "-inf", "high": "inf", "shape": [1]}),
        (Box(np.array([-1, -np.inf]), jnp.float32(1), (2,)), {"low": [-1.0, "-inf"], "high": 1.0, "shape": [2]}),
    ],
)  # fmt: skip
def test_actions_of_a_users_own_environment_can_be_kept(space, described, tmp_path):
    agent, _, _ = trained("ppo", "gymnax:CartPole-v1")
    folder = study(tmp_path / "own", replace(agent, environment=Elsewhere(space)))
    _, meta = checkpoint.load(folder.path, NAME)
    assert meta["policies"][0]["action_space"] == described == _described(space)


def test_a_policy_that_cannot_be_kept_loses_no_result(tmp_path, monkeypatch):
    held = []

    def full(self, trial, outcomes):
        held.extend(self.record.trials(phase="test"))
        raise StudyError("the disk is full")

    monkeypatch.setattr(Session, "keep_policies", full)
    made = autorl.create(SMALL, name="full", root=tmp_path, to_run=True)
    with pytest.raises(StudyError, match="the disk is full"):
        made.run()
    assert [trial.status for trial in held] == [Status.COMPLETED]
    made.close()
    again = autorl.resume("full", root=tmp_path)
    assert again.finished
    assert again.trials(None, "test")[0].score == held[0].score


def test_the_first_test_training_is_kept_and_no_score_chooses(tmp_path):
    agent, _, _ = trained("ppo", "gymnax:CartPole-v1")
    made = autorl.create({**SMALL, "seeds": {"test": 3}}, name="first", root=tmp_path)
    learner = SimpleNamespace(environment=agent.environment)
    session = SimpleNamespace(
        specification=made.specification,
        folder=made.folder,
        acts_in=lambda phase: (0, 1),
        trainer=SimpleNamespace(learners=[learner, learner]),
        _guide_steps=lambda trial, environment: {"guide_env_steps": (100, None)[environment]},
    )

    def outcome(score):
        return Outcome(
            score=score, train_env_steps=20, agent=None if score is None else Agent(agent.acting, agent.values)
        )

    trial = Trial(arm="method", phase="test", number=0, candidate={}, env_steps=1, origin="finalist", seeds=(5, 6, 7))
    Session.keep_policies(session, trial, [outcome(score) for score in (1.0, 3.0, 2.0, None, 1.0, 9.0)])
    _, meta = checkpoint.load(made.path, NAME)
    assert [(kept["seed"], kept["score"]) for kept in meta["policies"]] == [(5, 1.0), (6, 1.0)]
    assert [kept["env_steps"] for kept in meta["policies"]] == [120, None], (
        "with those of who guided it, if they are known"
    )


@pytest.mark.parametrize("overrides", [(), "name=second", ["name=second"], {"name": "second"}])
def test_a_guide_is_found_below_the_root_and_held_to_what_it_was(overrides, tmp_path):
    agent, _, _ = trained("ppo", "contextual:CartPole-v1")
    folder = study(tmp_path / "kept", agent)
    guided = {"name": "jump_start", "parameters": {"guide": "study:kept", "trajectories": 2, "episodes": 4}}
    experiment = {**SMALL, "teacher": guided, "budget": {"env_steps": 2048}}
    made = autorl.create(experiment, overrides, name="second", root=tmp_path, to_run=True)
    pin = made.specification.teacher.parameters["guide"]
    assert pin.startswith(f"study:{folder.path.resolve()}#")
    assert autorl.api.specify(made.specification, root=tmp_path / "nowhere").teacher.parameters["guide"] == pin
    guide_of(pin, agent.environment)
    other, _, _ = trained("ppo", "contextual:CartPole-v1", seed=1)
    keep(folder, [other])
    with pytest.raises(
        UsageError, match=r"guide: study '.*kept' keeps another policy than when this study was made. Remedy: "
    ):
        autorl.load("second", root=tmp_path).run()
    keep(folder, [agent])
    guide_of(pin, agent.environment)


@pytest.mark.parametrize("guide", ["study:kept", "kept_policy_test:guide"])
def test_a_guide_that_is_searched_is_a_pinned_one(guide, tmp_path):
    teachers = {"type": "categorical", "choices": ["jump_start", "snapshots"]}
    guides = {"type": "categorical", "choices": [guide, f"study:other#{'0' * 64}"]}
    space = {"name": "guides", "dimensions": {"teacher": teachers, "teacher.jump_start.guide": guides}}
    with pytest.raises(SpecificationError) as caught:
        autorl.create({**SMALL, "search": {"space": space, "method": "random"}}, name="searched", root=tmp_path)
    asked = r"teacher.jump_start.guide: expected a study with the digest of its policy.*, got 'study:kept'. Write study:PATH#DIGEST"
    assert bool(re.search(asked, str(caught.value))) == (guide == "study:kept")


def test_what_trained_a_guide_is_said_to_be_uncounted(tmp_path):
    agent, _, _ = trained("ppo", "gymnax:CartPole-v1")
    folder = study(tmp_path / "kept", agent)
    assert guide_env_steps(f"study:{folder.path}", agent.environment) == 640
    assert guide_env_steps(f"study:{tmp_path / 'gone'}", agent.environment) is None
    assert guide_env_steps(f"study:{folder.path}#{'0' * 64}", agent.environment) is None
    lesson = {"environment": 0, "tasks": [], "diary": None}
    for steps, said in (
        (64_000, "(ppo 64 k), and what else that study took."),
        (None, "(ppo an unknown number), and what else that study took."),
    ):
        guided = {"method": [{**lesson, "guide_env_steps": steps}], "default": [lesson]}
        result = lessons_summary(guided, {"environment": "e"})
        assert result["guide_env_steps"] == {"method": steps}
        assert guide_sentence({**result, "method": "ppo"}).endswith(said)
    assert guide_sentence(lessons_summary({"default": [lesson]}, {"environment": "e"})) == ""


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_drawn_actions_are_of_the_same_policy_where_it_has_a_distribution(algorithm, tmp_path):
    agent, seen, actions = trained(algorithm, PLACES[algorithm])
    found = kept_policy(study(tmp_path / "one", agent).path, agent.environment)
    drawn = found.drawn()
    keys = jax.random.split(jax.random.key(2), 200)
    played = jax.vmap(lambda o: jax.vmap(lambda k: drawn(o, k))(keys))(jnp.asarray(seen))
    if algorithm == "dqn":
        assert drawn is found
        np.testing.assert_array_equal(played, np.repeat(np.asarray(actions)[:, None], 200, axis=1))
        return
    assert drawn != found
    assert drawn == found.drawn()
    assert hash(drawn) == hash(found.drawn())
    learner, hp = found.learner, found._hyperparameters
    assert bool(hp.greedy_evaluation)
    tree = learner.layout(hp).unpack(jnp.asarray(agent.acting.parameters))
    flat = (seen - agent.acting.moments.mean) / np.sqrt(agent.acting.moments.variance + 1e-8)
    logits = learner.network(hp).apply({"params": tree}, jnp.asarray(flat), method="policy")
    np.testing.assert_allclose(np.mean(np.asarray(played) == 1, axis=1), jax.nn.softmax(logits)[:, 1], atol=0.15)


@pytest.mark.slow
def test_of_several_environments_the_one_of_that_name_is_taken_else_one_that_fits(tmp_path):
    one, seen, actions = trained("ppo", "contextual:CartPole-v1")
    two, _, others = trained("ppo", "gymnax:CartPole-v1", seed=1)
    assert (np.asarray(actions) != np.asarray(others)).any()
    folder = study(tmp_path / "two", one, two)
    for name, expected in (("gymnax:CartPole-v1", others), ("contextual:CartPole-wide", actions)):
        found = kept_policy(folder.path, make_environment(name))
        np.testing.assert_array_equal(jax.vmap(found, (0, None))(seen, jax.random.key(1)), expected)


def test_of_two_agents_the_protagonist_is_kept():
    learner = ALGORITHMS.load("paired_ppo")(make_environment("gymnax:CartPole-v1"))
    adam = initial_adam(jnp.zeros(2))
    state = PairedState(None, None, Student(adam, "protagonist's"), Student(adam, "antagonist's"), None, None)
    assert learner.acting(state).moments == "protagonist's"


def test_what_cannot_be_a_guide_is_said_clearly(tmp_path):
    agent, _, _ = trained("ppo", "gymnax:CartPole-v1")
    pendulum, whole, nothing = (
        make_environment("gymnax:Pendulum-v1"),
        study(tmp_path / "whole", agent),
        tmp_path / "none",
    )
    errors = {
        f"study:{tmp_path / 'no_such'}": (agent.environment, r"guide: .*no_such"),
        f"study:{study(nothing).path}": (
            agent.environment,
            r"guide: study 'none' keeps no policy: .* Remedy: resume it",
        ),
        f"study:{whole.path}": (
            pendulum,
            r"keeps policies of gymnax:CartPole-v1 \(observations of shape \[4\] and 2 actions\), and 'gymnax:Pendulum-v1' has "
            r"observations of shape \[3\] and actions of shape \[1\]",
        ),
        "corridor_of_nowhere:policy": (agent.environment, "guide: no module named 'corridor_of_nowhere'"),
    }
    for reference, (environment, message) in errors.items():
        with pytest.raises(UsageError, match=message):
            guide_of(reference, environment)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda arrays, meta: (arrays, {}), "is no policy of a study"),
        (lambda arrays, meta: (arrays, {"policies": [{"environment": "x"}]}), "is no policy of a study"),
        (lambda arrays, meta: ({**arrays, "0/mean": np.zeros(3, np.float32)}, meta), r"mean: expected float32 of shape \[4\]"),
        (lambda arrays, meta: ({**arrays, "0/parameters": np.zeros(7, np.float32)}, meta), "parameters: expected float32"),
        (lambda arrays, meta: ({}, meta), "parameters: expected float32"),
        (lambda arrays, meta: (arrays, _with(meta, algorithm="tabular")), "gymnax:CartPole-v1"),
        (lambda arrays, meta: (arrays, _with(meta, algorithm="ppo2")), "unknown learner 'ppo2'"),
        (lambda arrays, meta: (arrays, _with(meta, hyperparameters={"hidden_size": 0})), "hidden_size: expected"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_policy_is_refused(changed, message, tmp_path):
    agent, _, _ = trained("ppo", "gymnax:CartPole-v1")
    folder = study(tmp_path / "kept", agent)
    checkpoint.save(folder.path, NAME, *changed(*checkpoint.load(folder.path, NAME)))
    with pytest.raises(UsageError, match=message):
        guide_of(f"study:{folder.path}", agent.environment)


def test_a_damaged_file_is_refused(tmp_path):
    agent, _, _ = trained("ppo", "gymnax:CartPole-v1")
    folder = study(tmp_path / "kept", agent)
    data = bytearray(folder.policy.read_bytes())
    data[-200] ^= 1
    folder.policy.write_bytes(data)
    with pytest.raises(UsageError, match=r"guide: checkpoint .* is damaged"):
        guide_of(f"study:{folder.path}", agent.environment)


def _with(meta, **values):
    changed = json.loads(json.dumps(meta))
    changed["policies"][0] |= values
    return changed


@pytest.mark.slow
def test_the_winner_of_one_study_guides_another(tmp_path):
    first = autorl.run(SMALL, name="first", root=tmp_path)
    (trial,) = first.trials(None, "test")
    _, meta = checkpoint.load(first.path, NAME)
    (kept,) = meta["policies"]
    assert kept["score"] / 500 == pytest.approx(trial.scores[0][0])
    assert (kept["seed"], kept["environment"]) == (trial.seeds[0], "contextual:CartPole-v1")
    guided = {"name": "jump_start", "parameters": {"guide": f"study:{first.path}", "trajectories": 2, "episodes": 4}}
    second = autorl.run({**SMALL, "teacher": guided, "budget": {"env_steps": 2048}}, name="second", root=tmp_path)
    (trial,) = second.trials(None, "test")
    assert all(score is not None for score in trial.scores[0])
    for lesson in second.lessons(trial):
        assert 2 <= lesson["teacher_env_steps"] <= 2 * 500
        assert lesson["guide_env_steps"] == kept["env_steps"] == 1024
    assert second.result["guide_env_steps"] == {"method": 1024}
    assert "NOT counted: the env steps that trained the guide itself" in render_result(second.result)
    for lesson in second.lessons(trial):
        assert np.array(lesson["diary"]["episodes"])[:, 0, -1].sum() > 0, "episodes that the guide began"
    wrong = {**guided, "parameters": {"guide": "study:never_run"}}
    with pytest.raises(UsageError, match=r"guide: .*never_run"):
        autorl.run({**SMALL, "teacher": wrong}, name="third", root=tmp_path)
    assert not (tmp_path / "third").exists()
