"""The best configuration as CleanRL's command line: every flag is one of its scripts', and means the same."""

import json
import pathlib
import shlex

import pytest
from framework_studies import CARTPOLE, DQN, PENDULUM, PPO, exported, remarks, soft

from autorl.interop.frameworks import cleanrl
from autorl.interop.frameworks.mapping import translate

ARGUMENTS = json.loads((pathlib.Path(__file__).parent / "cleanrl_arguments.json").read_text())


def flags(text):
    """Return script and flags of the command that a shell would read."""
    command = shlex.split(
        "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#")).replace("\\\n", " ")
    )
    assert command[0] == "python"
    names = {}
    for word, following in zip(command[2:], [*command[3:], "--"], strict=True):
        if word.startswith("--"):
            name = word.removeprefix("--")
            names[name] = following if not following.startswith("--") else True
    return command[1], names


@pytest.mark.parametrize(
    ("algorithm", "candidate", "environment", "script"),
    [("ppo", PPO, CARTPOLE, "ppo"), ("ppo", PPO, PENDULUM, "ppo_continuous_action"), ("dqn", DQN, CARTPOLE, "dqn")],
)
def test_cleanrl_has_all_these_arguments(algorithm, candidate, environment, script):
    path, found = flags(exported("cleanrl", algorithm, candidate, environment))
    assert path == f"cleanrl/{script}.py"
    known = {name.replace("_", "-") for name in ARGUMENTS["scripts"][script]}
    assert {name.removeprefix("no-") for name in found} <= known
    # tyro knows --no-x of switches only
    assert all(
        ARGUMENTS["scripts"][script][n.removeprefix("no-").replace("-", "_")] == "bool"
        for n, v in found.items()
        if v is True
    )
    unsaid = (
        known
        - {name.removeprefix("no-") for name in found}
        - {n.replace("_", "-") for n in ARGUMENTS["not of the algorithm"]}
    )
    assert unsaid <= {"target-kl", "num-envs"}, "an argument left at CleanRL's default is one that means nothing to us"


def test_cleanrl_arguments_mean_the_same():
    _, ppo = flags(exported("cleanrl", "ppo", PPO))
    assert (ppo["num-minibatches"], ppo["total-timesteps"], ppo["clip-vloss"], ppo["no-norm-adv"]) == (
        "3",
        "1050",
        True,
        True,
    )
    assert (ppo["vf-coef"], ppo["anneal-lr"]) == ("0.6", True), "both have half the squared error"
    assert "no-clip-vloss" in flags(exported("cleanrl", "ppo", {}))[1]
    text = exported(
        "cleanrl", "dqn", {**DQN, "n_envs": 1, "train_freq": 5, "gradient_steps": 1, "buffer_prio_sampling": False}
    )
    _, dqn = flags(text)
    assert (dqn["train-frequency"], dqn["target-network-frequency"], dqn["start-e"], dqn["end-e"]) == (
        "5",
        "10",
        "0.9",
        "0.1",
    )
    assert not any("train_freq" in line or "prio" in line for line in remarks(text))


def test_cleanrl_sac_counts_steps_of_all_environments():
    found = translate(cleanrl.TABLES, soft(), "CleanRL")
    assert (found.name, found.arguments["total-timesteps"], found.arguments["learning-starts"]) == (
        "sac_continuous_action.py",
        500,
        25,
    )
    assert (found.arguments["target-network-frequency"], found.arguments["q-lr"], found.arguments["autotune"]) == (
        2,
        3e-4,
        True,
    )
    known = {name.replace("_", "-") for name in ARGUMENTS["scripts"]["sac_continuous_action"]}
    assert set(found.arguments) <= known
    said = "\n".join(found.remarks)
    for words in (
        "alpha 0.2: starts at 1",
        "target_entropy -0.5",
        "train_freq 2, gradient_steps 4",
        "hidden_size 16",
        "adam_eps 1e-07",
    ):
        assert words in said
