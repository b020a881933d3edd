"""What the tests of exports to other libraries share: configurations, studies that found them, and what an export says of them."""

from autorl.interop.export import EXPORTS
from autorl.interop.frameworks.configuration import Configuration, configurations
from autorl.studies.specification import from_mapping
from autorl.studies.trial import Trial

CARTPOLE, PENDULUM = "gymnax:CartPole-v1", "gymnax:Pendulum-v1"
PPO = {
    "learning_rate": 3e-4, "gamma": 0.97, "gae_lambda": 0.9, "clip_eps": 0.25, "vf_clip_eps": 0.3, "vf_coef": 0.6, "ent_coef": 0.01,
    "max_grad_norm": 0.7, "normalize_advantage": False, "normalize_observations": True, "adam_eps": 2e-6, "update_epochs": 3,
    "n_envs": 4, "n_steps": 25, "minibatch_size": 32, "hidden_size": 16, "n_layers": 1, "activation": "relu",
}  # fmt: skip
DQN = {
    "learning_rate": 2e-3, "gamma": 0.95, "max_grad_norm": 5.0, "adam_eps": 1e-6, "train_freq": 3, "gradient_steps": 2,
    "learning_starts": 100, "initial_epsilon": 0.9, "target_epsilon": 0.1, "exploration_fraction": 0.3, "target_update_interval": 10,
    "tau": 0.5, "buffer_size": 5000, "buffer_batch_size": 16, "n_envs": 4, "hidden_size": 16, "n_layers": 1,
    "buffer_prio_sampling": True,
}  # fmt: skip


def study(algorithm, candidate, environment=CARTPOLE, **learner):
    """A specification and its best trial."""
    dimensions = {name: {"type": "fixed", "value": value} for name, value in candidate.items()}
    dimensions["gamma"] = {"type": "float", "low": 0.0, "high": 1.0}
    specification = from_mapping(
        {
            "name": "made",
            "environment": environment,
            "learner": {"algorithm": algorithm, **learner},
            "search": {"space": {"dimensions": dimensions}, "method": "random"},
            "budget": {"trainings": 2, "env_steps": 1050},
        },
        references=False,
    )
    return specification, Trial("method", "finalists", 0, {"gamma": 0.99, **candidate}, 1050, source=7, score=1.0)


def configuration(algorithm, candidate, environment=CARTPOLE, **learner):
    (found,) = configurations(*study(algorithm, candidate, environment, **learner), [])
    return found


def exported(form, algorithm, candidate, environment=CARTPOLE, **learner):
    return EXPORTS.load(form)(*study(algorithm, candidate, environment, **learner), [])


def remarks(text):
    return [line[4:] for line in text.splitlines() if line.startswith("# - ")]


SAC = {
    "teacher": None,
    "learning_rate": 3e-4, "gamma": 0.97, "adam_eps": 1e-7, "train_freq": 2, "gradient_steps": 4, "learning_starts": 50,
    "alpha_auto": True, "alpha": 0.2, "target_entropy": -0.5, "reward_scale": 2.0, "use_target_network": True,
    "target_update_interval": 3, "tau": 0.02, "normalize_observations": False, "buffer_size": 4000, "buffer_prio_sampling": False,
    "buffer_alpha": 0.6, "buffer_beta": 0.4, "buffer_epsilon": 1e-6, "buffer_batch_size": 32, "n_envs": 2, "hidden_size": 16,
    "n_layers": 2, "activation": "relu", "buffer_capacity": 131072, "bootstrap_time_limits": True,
}  # fmt: skip


def soft(**changes):
    """A configuration of SAC on Pendulum, every hyperparameter said."""
    return Configuration("made", "sac", PENDULUM, {}, (-2.0, 2.0), 1, 1001, {**SAC, **changes})
