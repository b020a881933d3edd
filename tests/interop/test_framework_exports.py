"""The best configuration for Stable-Baselines3, RL Baselines3 Zoo and CleanRL: the same training, or a word on what is not."""

import ast
import dataclasses

import pytest
import yaml
from framework_studies import CARTPOLE, DQN, PENDULUM, PPO, SAC, configuration, exported, remarks, soft, study

from autorl.errors import StudyError, UnknownNameError, UsageError
from autorl.inner.algorithms import ALGORITHMS
from autorl.interop.export import EXPORTS
from autorl.interop.frameworks import cleanrl, rl_zoo, sb3
from autorl.interop.frameworks.configuration import every_value
from autorl.interop.frameworks.gymnasium_ids import counterpart
from autorl.interop.frameworks.mapping import covered, translate
from autorl.interop.frameworks.sb3_tables import Falling
from autorl.outer.protocol import Status
from autorl.studies.trial import Stage


@pytest.mark.parametrize("tables", [sb3.TABLES, cleanrl.TABLES], ids=["sb3", "cleanrl"])
def test_every_hyperparameter_stands_in_one_row(tables):
    assert set(tables) == {"ppo", "dqn", "sac"}
    for name, algorithm in tables.items():
        if name not in ALGORITHMS:
            continue
        declared = {f.name for f in dataclasses.fields(ALGORITHMS.load(name).Hyperparameters)}
        assert sorted(covered(algorithm.rows)) == sorted(declared), "nothing is dropped, nothing is said twice"


def test_what_is_not_given_has_our_default_not_theirs():
    values = configuration("ppo", {"learning_rate": 1}).values
    assert (values["learning_rate"], type(values["learning_rate"])) == (1.0, float)
    assert (values["update_epochs"], values["activation"], values["objective"]) == (10, "tanh", None)
    declared = ALGORITHMS.load("dqn").Hyperparameters
    assert every_value(declared, {"buffer_batch_size": 32.0})["buffer_batch_size"] == 32
    assert isinstance(every_value(declared, {"buffer_batch_size": 32.0})["buffer_batch_size"], int)


def test_values_fixed_by_learner_and_environment_count():
    environment = {"id": CARTPOLE, "hyperparameters": {"n_envs": 2}, "env_steps": 2000}
    found = configuration("ppo", {}, environment, hyperparameters={"n_steps": 16})
    assert (found.values["n_envs"], found.values["n_steps"], found.env_steps) == (2, 16, 2000)


def test_sb3_arguments_mean_the_same():
    found = translate(sb3.TABLES, configuration("ppo", PPO), "SB3").arguments
    assert found["vf_coef"] == 0.3, "SB3's value loss has no factor of a half"
    assert found["learning_rate"] == Falling(3e-4)
    assert (found["batch_size"], found["clip_range_vf"]) == (32, 0.3)
    assert found["around"] == {"n_envs": 4, "normalize": True, "total_timesteps": 1000}, "ten whole rollouts of 100"
    assert translate(sb3.TABLES, configuration("ppo", {"minibatch_size": 10**6}), "SB3").arguments["batch_size"] == 2048
    off = translate(sb3.TABLES, configuration("ppo", {"anneal_learning_rate": False}), "SB3").arguments
    assert (off["learning_rate"], "clip_range_vf" in off) == (1e-3, False), "no clipping is the absence of the argument"


def test_sb3_counts_target_updates_and_exploration_as_we_do():
    found = translate(sb3.TABLES, configuration("dqn", DQN), "SB3").arguments
    assert found["target_update_interval"] == 12, "whole steps of four environments: rounded up here, down there"
    assert found["around"]["total_timesteps"] == 1044, "87 iterations of 12 steps"
    greedy = translate(sb3.TABLES, configuration("dqn", {**DQN, "exploration_fraction": 0.0}), "SB3").arguments
    assert (greedy["exploration_initial_eps"], greedy["exploration_fraction"]) == (0.1, 1.0), (
        "SB3 divides by the fraction"
    )
    alone = translate(sb3.TABLES, configuration("dqn", {**DQN, "use_target_network": False}), "SB3").arguments
    assert (alone["tau"], alone["target_update_interval"]) == (1.0, 4)


def run(text, tmp_path, monkeypatch, steps):
    """Run an exported program as its reader would, shortened; return its names."""
    text = text.replace(text[text.index("total_timesteps=") :].strip(), f"total_timesteps={steps})")
    names = {"__name__": "__main__"}
    monkeypatch.chdir(tmp_path)
    exec(compile(ast.parse(text), "exported.py", "exec"), names)
    return names


@pytest.mark.parametrize("to", ["sb3", "rl-zoo", "cleanrl"])
def test_that_a_policy_was_imitated_is_not_passed_over(to):
    said = "\n".join(remarks(exported(to, "ppo", {"distill_from": "framework_studies:guide", "distill_coef": 2.0})))
    assert "distill_from 'framework_studies:guide': " in said
    assert "imitates nobody. NOT the same training" in said
    for nobody in ({}, {"distill_from": "none"}):
        assert "distill" not in "\n".join(remarks(exported(to, "ppo", nobody)))


def test_the_sac_arguments_are_all_there_and_mean_the_same():
    assert sorted(covered(sb3.TABLES["sac"].rows)) == sorted(covered(cleanrl.TABLES["sac"].rows)) == sorted(SAC)
    found = translate(sb3.TABLES, soft(), "SB3")
    assert (found.arguments["ent_coef"], found.arguments["target_entropy"]) == ("auto_0.2", -0.5)
    assert found.arguments["around"] == {"n_envs": 2, "normalize": False, "total_timesteps": 1000}
    # every two steps of both environments here, which is once an iteration: once in four gradient steps there
    assert found.arguments["target_update_interval"] == 4
    assert any("reward_scale 2.0" in remark for remark in found.remarks)
    assert not any("target_update_interval" in remark for remark in found.remarks)
    plain = translate(
        sb3.TABLES, soft(alpha_auto=False, target_entropy=-1.0, use_target_network=False), "SB3"
    ).arguments
    assert (plain["ent_coef"], plain["target_entropy"], plain["tau"], plain["target_update_interval"]) == (
        0.2,
        "auto",
        1.0,
        1,
    )
    rare = translate(sb3.TABLES, soft(target_update_interval=40), "SB3").remarks
    assert any("1 target updates in each iteration there, 0.1 here" in remark for remark in rare)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_sb3_makes_a_sac_agent_of_them(stable_baselines3):
    arguments = sb3.keyword_arguments(soft())
    model = stable_baselines3.SAC(env="Pendulum-v1", **arguments)
    assert (model.gamma, model.tau, model.batch_size, model.gradient_steps) == (0.97, 0.02, 32, 4)
    assert (model.target_entropy, model.target_update_interval, model.learning_starts) == (-0.5, 4, 50)
    assert model.log_ent_coef.exp().item() == pytest.approx(0.2)
    assert model.actor.optimizer.param_groups[0]["eps"] == model.critic.optimizer.param_groups[0]["eps"] == 1e-7
    assert [m.out_features for m in model.critic.q_networks[0] if hasattr(m, "out_features")] == [16, 16, 1]


@pytest.fixture(scope="module")
def stable_baselines3():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its imports
        return pytest.importorskip("stable_baselines3")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_the_ppo_program_makes_that_agent(stable_baselines3, tmp_path, monkeypatch):
    import torch

    candidate = {**PPO, "n_steps": 8, "minibatch_size": 16}
    model = run(exported("sb3", "ppo", candidate), tmp_path, monkeypatch, 32)["model"]
    assert type(model).__name__ == "PPO"
    assert (model.gamma, model.gae_lambda, model.ent_coef, model.vf_coef, model.max_grad_norm) == (
        0.97,
        0.9,
        0.01,
        0.3,
        0.7,
    )
    assert (model.n_epochs, model.n_steps, model.batch_size, model.n_envs) == (3, 8, 16, 4)
    assert (model.clip_range(1.0), model.clip_range_vf(1.0), model.normalize_advantage) == (0.25, 0.3, False)
    assert (model.lr_schedule(1.0), model.lr_schedule(0.5)) == (3e-4, 1.5e-4)
    assert model.policy.optimizer.param_groups[0]["eps"] == 2e-6
    layers = [m for m in model.policy.mlp_extractor.modules() if not list(m.children())]
    assert [type(m).__name__ for m in layers] == ["Linear", "ReLU", "Linear", "ReLU"], "separate actor and critic"
    assert {m.out_features for m in layers if isinstance(m, torch.nn.Linear)} == {16}
    assert (model.get_vec_normalize_env().norm_obs, model.get_vec_normalize_env().norm_reward) == (True, False)
    assert model.num_timesteps == 32


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_the_dqn_program_makes_that_agent(stable_baselines3, tmp_path, monkeypatch):
    model = run(exported("sb3", "dqn", DQN), tmp_path, monkeypatch, 24)["model"]
    assert (type(model).__name__, model.gamma, model.tau, model.batch_size) == ("DQN", 0.95, 0.5, 16)
    assert (model.train_freq.frequency, model.train_freq.unit.value, model.gradient_steps) == (3, "step", 2)
    assert (model.learning_starts, model.target_update_interval, model.max_grad_norm) == (100, 12, 5.0)
    assert [model.exploration_schedule(x) for x in (1.0, 0.85, 0.5)] == pytest.approx([0.9, 0.5, 0.1])
    assert model.replay_buffer.buffer_size * model.n_envs == 5000
    assert (model.learning_rate, model.policy.optimizer.param_groups[0]["eps"]) == (2e-3, 1e-6)
    assert [type(m).__name__ for m in model.q_net.q_net] == ["Linear", "ReLU", "Linear"]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_continuous_actions_are_scaled_as_ours_are(stable_baselines3, tmp_path, monkeypatch):
    candidate = {**PPO, "n_steps": 8, "minibatch_size": 16, "normalize_observations": False}
    names = run(exported("sb3", "ppo", candidate, PENDULUM), tmp_path, monkeypatch, 32)
    assert (names["environment"].action_space.low[0], names["environment"].action_space.high[0]) == (-1.0, 1.0)
    assert names["model"].get_vec_normalize_env() is None


def test_keyword_arguments_as_objects(stable_baselines3):
    import torch

    found = sb3.keyword_arguments(configuration("ppo", PPO))
    assert found["policy_kwargs"]["activation_fn"] is torch.nn.ReLU
    assert found["learning_rate"](0.5) == 1.5e-4
    assert "around" not in found


def test_the_zoo_reads_its_file():
    text = exported("rl-zoo", "ppo", PPO)
    section = yaml.safe_load(text)["CartPole-v1"]
    assert (section["n_timesteps"], section["policy"], section["n_envs"]) == (1000, "MlpPolicy", 4)
    assert section["normalize"] == {"norm_obs": True, "norm_reward": False, "clip_obs": 10.0}
    assert section["learning_rate"] == "lin_0.0003"
    # as its exp_manager does
    schedule, start = section["learning_rate"].split("_")
    assert (schedule, float(start)) == ("lin", 3e-4)
    nn = type("nn", (), {"ReLU": "relu"})
    policy = eval(section["policy_kwargs"], {"nn": nn})
    assert policy == {
        "net_arch": {"pi": [16], "vf": [16]},
        "activation_fn": "relu",
        "optimizer_kwargs": {"eps": 2e-6},
    }
    same = translate(sb3.TABLES, configuration("ppo", PPO), "x").arguments
    ours = {
        k: v for k, v in section.items() if k not in ("n_timesteps", "policy", "n_envs", "normalize", "policy_kwargs")
    }
    assert ours == {
        **{k: v for k, v in same.items() if k not in ("around", "policy_kwargs")},
        "learning_rate": "lin_0.0003",
    }


def test_the_zoo_scales_actions_and_takes_plain_numbers():
    section = yaml.safe_load(
        exported("rl-zoo", "ppo", {"learning_rate": 1e-5, "anneal_learning_rate": False}, PENDULUM)
    )["Pendulum-v1"]
    assert section["env_wrapper"] == [{"gymnasium.wrappers.RescaleAction": {"min_action": -1.0, "max_action": 1.0}}]
    assert (section["learning_rate"], "normalize" in section) == (1e-5, False)
    assert yaml.safe_load(exported("rl-zoo", "dqn", DQN))["CartPole-v1"]["train_freq"] == 3


def test_the_zoo_has_a_section_for_each_environment_and_refuses_the_same_twice():
    both = [{"id": e, "score_range": [0, 1]} for e in (CARTPOLE, "gymnax:Acrobot-v1")]
    text = exported("rl-zoo", "ppo", PPO, both)
    assert list(yaml.safe_load(text)) == ["CartPole-v1", "Acrobot-v1"]
    twice = [{"id": CARTPOLE, "score_range": [0, 1], "task": {"gravity": g}} for g in (9.8, 5.0)]
    with pytest.raises(UsageError, match=r"'CartPole-v1' is there twice"):
        exported("rl-zoo", "ppo", PPO, twice)


def test_what_has_no_counterpart_is_said():
    said = "\n".join(remarks(exported("cleanrl", "ppo", PPO)))
    for words in (
        "minibatch_size 32: does not divide",
        "vf_clip_eps 0.3",
        "adam_eps 2e-06",
        "hidden_size 16",
        "normalize_observations true",
    ):
        assert words in said
    said = "\n".join(remarks(exported("cleanrl", "dqn", DQN)))
    for words in (
        "train_freq 3, gradient_steps 2, n_envs 4",
        "max_grad_norm 5.0",
        "buffer_prio_sampling true",
        "hidden_size 16",
    ):
        assert words in said
    said = "\n".join(remarks(exported("sb3", "dqn", DQN)))
    assert "no prioritised replay" in said
    assert "Huber" in said
    soft_actor = {"learning_rate": 1e-3, "learning_starts": 50}
    for to in ("sb3", "rl-zoo", "cleanrl"):
        said = "\n".join(remarks(exported(to, "sac", soft_actor, PENDULUM)))
        assert "until then actions are uniform there, the policy's here" in said
        assert "epsilon" not in said
    objective = "\n".join(remarks(exported("rl-zoo", "dqn", {}, objective="dqnreg")))
    assert "NOT the same training" in objective
    task = "\n".join(remarks(exported("sb3", "ppo", {}, {"id": CARTPOLE, "task": {"gravity": 5.0}})))
    assert "gravity 5.0" in task


def test_environments_elsewhere():
    assert counterpart(CARTPOLE) == ("CartPole-v1", "")
    assert counterpart("gymnax:Breakout-MinAtar").id == "MinAtar/Breakout-v1"
    assert counterpart("minigrid:DoorKey-5x5").id == "MiniGrid-DoorKey-5x5-v0"
    assert "no Gymnasium id" in counterpart("probe:two_step").remark


def test_what_cannot_be_exported_is_refused_with_a_remedy():
    specification, best = study("ppo", PPO)
    stages = (Stage(500, {"gamma": 0.9}), Stage(1050, {"gamma": 0.99}))
    with pytest.raises(UsageError, match=r"schedule of 2 stages.*'autorl export' without --to"):
        sb3.program(specification, dataclasses.replace(best, schedule=stages), [])
    with pytest.raises(StudyError, match="nothing to export yet"):
        rl_zoo.hyperparameter_file(specification, None, [])
    specification, best = study("tabular", {}, "mdp:lottery")
    with pytest.raises(UsageError, match=r"CleanRL has no counterpart of learner 'tabular'.*'ppo', 'dqn', 'sac'"):
        cleanrl.command_lines(specification, best, [])
    with pytest.raises(UnknownNameError, match=r"form of export 'sb'. Did you mean 'sb3'"):
        EXPORTS.load("sb")


def test_a_search_trial_of_a_study_under_way_is_exported_too():
    specification, best = study("ppo", PPO)
    searched = dataclasses.replace(best, phase="search", number=3, source=None, status=Status.COMPLETED)
    assert "(trial 3)" in cleanrl.command_lines(specification, searched, [searched])
