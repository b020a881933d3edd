"""What `benchmarks/learners.py` compares: problems and search methods, each as changes to a shipped experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

RANDOM: Final = "random3"
"""The method that all are compared with."""
RANDOM_SEEDS: Final = 3


@dataclass(frozen=True)
class Problem:
    """A learner in an environment.

    Attributes:
        experiment: The shipped experiment that it is taken from: environment, learner, space, steps of a training.
        env_steps: Environment steps of a training.
        core_minutes: What a study of 32 trainings costs by `auto`, ten test trainings and compilation included, on the two cores of the
            README's figures: mountain_car_dqn and acrobot_ppo measured, the others extrapolated from eight trainings.
        overrides: What it differs in.
    """

    experiment: str
    env_steps: int
    core_minutes: float
    overrides: tuple[str, ...] = ()


# ARLBench's Acrobot has an update an env step, MountainCar one in two; here both have one in four: a study costs a quarter, half
PROBLEMS: Final[Mapping[str, Problem]] = {
    "cartpole_dqn": Problem("arlbench_cartpole_dqn", 50_000, 1.8),
    "acrobot_dqn": Problem("arlbench_acrobot_dqn", 100_000, 2.4, ("learner.hyperparameters.train_freq=4",)),
    "pendulum_ppo": Problem("arlbench_pendulum_ppo", 100_000, 1.2),
    "mountain_car_dqn": Problem("arlbench_mountain_car_dqn", 120_000, 2.6, ("learner.hyperparameters.train_freq=4",)),
    "acrobot_ppo": Problem("ppo_acrobot", 100_000, 0.7),
}
REPORTED: Final = ("cartpole_dqn", "acrobot_dqn", "pendulum_ppo")
"""Problems that methods are judged on. Settings are chosen on the others."""
CHOOSING: Final = tuple(name for name in PROBLEMS if name not in REPORTED)

COMMON: Final = (
    "finalists=1",  # the incumbent is chosen within the budget
    "evaluation={episodes: 64, points: 10}",
    "baselines={default: false, random: false}",
    "expected=null",
)
EARLY: Final = "n_startup_trials: 32, drawn_fraction: 0.33"
"""Two batches are drawn, then a third of the trials, as in BOHB: what the settings of TPE and GP stand at where a model proposes."""
METHODS: Final[Mapping[str, Sequence[str]]] = {
    "auto": [],
    "auto_no_prior": ["search.prior=none"],
    "auto_half_prior": ["search.settings={prior_fraction: 0.5}"],
    "auto_model": [f"search.settings={{{EARLY}}}"],
    "auto_model_half_prior": [f"search.settings={{{EARLY}, prior_fraction: 0.5}}"],
    "auto_model_no_prior": ["search.prior=none", f"search.settings={{{EARLY}}}"],
    "tpe": ["search.method=tpe"],
    "tpe_default": ["search.method=tpe", "search.start=[default]"],
    "gp": ["search.method=gp"],
    "ngopt": ["search.method=_learner_nevergrad:NGOpt"],
    "de_hyperband": ["search.method=de", "search.policy=hyperband"],
    RANDOM: ["search.method=random"],
    "hyperband": ["search.method=random", "search.policy=hyperband"],
    "asha": ["search.method=random", "search.policy=asha"],
    "tpe_race": ["search.method=tpe", "search.policy=race", "search.start=[default]"],
}
"""All else is the same: trials begin on one search seed (`RANDOM` on three), no method has finalists beyond its budget."""
COMPARED: Final = (
    "auto",
    "auto_no_prior",
    "tpe",
    "tpe_default",
    "gp",
    "ngopt",
    "de_hyperband",
    RANDOM,
    "hyperband",
    "asha",
)
"""``auto`` begins with the learner's defaults, which learn on the problems reported; of the others only `tpe_default` does."""
VARIANTS: Final = (
    "auto",
    "auto_no_prior",
    "auto_half_prior",
    "auto_model",
    "auto_model_half_prior",
    "auto_model_no_prior",
)


def overrides(problem: str, method: str, trainings: int, env_steps: int, seed: int, test_seeds: int) -> list[str]:
    """Return the changes to the problem's experiment for one study: so many trainings, spent by the method as it likes."""
    width = RANDOM_SEEDS if method == RANDOM else 1
    return [
        *PROBLEMS[problem].overrides,
        *COMMON,
        *METHODS[method],
        f"budget={{trainings: {trainings // width}, env_steps: {env_steps}}}",
        f"seeds={{study: {seed}, search: {width}, tuning: 1, test: {test_seeds}}}",
    ]


def estimate(problems: Sequence[str], methods: int, studies: int, trainings: int, env_steps: int | None) -> float:
    """Return the core minutes of a comparison, from those of 32 trainings: the work of the test does not change with the budget."""
    total = 0.0
    for problem in problems:
        known = PROBLEMS[problem]
        work = (trainings + 10) / 42 * (env_steps or known.env_steps) / known.env_steps
        total += known.core_minutes * work * methods * studies
    return total
