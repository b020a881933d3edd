"""At ARLBench's budget, in its spaces, with its settings: how good is what ``auto`` finds, beside what was published?

    python benchmarks/arlbench.py --experiments arlbench_pendulum_ppo --repeats 5
    python benchmarks/arlbench.py --experiments arlbench_pendulum_ppo --arm random
    python benchmarks/arlbench.py --only-print [--json]

Published (Becktepe et al., 2024): a search is 32 configurations on three seeds, so 96 trainings, five repeats; the value of a
search is the incumbent's mean over the three seeds it was chosen by, at the end of training. Arm ``auto`` spends the same 96
trainings: 84 in the search and 12 on finalists (four of them on three fresh seeds). Its incumbent is the finalist that is best on
those and the seeds that it raced on in the search, and its value the mean of the three fresh ones, which is less flattered than what
was published; beside it stands the mean of all those that chose it (lines without it are of a version in which the three fresh ones
chose). Arm ``random`` is the published protocol of random search on our learners. The test value is the incumbent's mean over ten
seeds that decided nothing: the published values have no counterpart to it. A training that failed counts as the worst return that the
task allows (`FLOORS`), in the incumbent and in the test; how many did is printed.

By default ``auto`` draws by the shipped prior, which was learned from ARLBench's own published trainings of other tasks of the same
algorithm, and begins with the learner's default configuration; neither is counted as work. Arm ``auto_no_prior`` is without the prior.

ARLBench's learners take a time limit for the end of the task; ours see that there is value after it. Arms ``auto_limits_end`` and
``random_limits_end`` do as ARLBench's, which is the comparison of searches alone.

Pendulum-PPO is trained for 24 rollouts (98,304 steps), as many as 100,000 hold. ARLBench rounds up: SMAC's runs there had 102,400 steps,
random search's 122,880, so that the published values have an advantage.

A repeat is a study of its own (``studies/arlbench``, study seeds 0, 1, ...); one that has finished is a line of
``experiments/NAME.repeats.jsonl``. Stop at any time, run the same command again, and it goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _repeats import keep, opened
from landscapes import interval

from autorl.errors import AutoRLError, UsageError
from autorl.studies import json_lines

ROOT = Path("studies/arlbench")
EXPERIMENTS = Path(__file__).parents[1] / "experiments"
GRANTED = 96
"""Whole trainings of a search."""


@dataclass(frozen=True)
class Published:
    """Incumbents of five repeats: mean and standard deviation of their means over three seeds.

    Computed from the records of automl/arlbench, branch ``experiments``, ``results_combined/optimizer_runs``. Pendulum-SAC:
    without the trainings recorded as about 0, which failed (61.5 % of SMAC's, 8.7 % of random search's), and without the configurations
    of which fewer than two trainings are left.

    Attributes:
        random: Of random search.
        smac: Of SMAC.
        lenient_smac: Of SMAC, if a single training that did not fail is enough, where that differs.
    """

    random: tuple[float, float]
    smac: tuple[float, float]
    lenient_smac: tuple[float, float] | None = None


PUBLISHED = {
    "arlbench_mountain_car_continuous_ppo": Published((96.79, 1.11), (96.65, 3.92)),
    "arlbench_pendulum_ppo": Published((-873.3, 106.0), (-689.2, 416.0)),
    "arlbench_cartpole_dqn": Published((485.7, 31.5), (500.0, 0.0)),
    "arlbench_mountain_car_dqn": Published((-108.7, 3.92), (-104.0, 1.34)),
    "arlbench_acrobot_dqn": Published((-77.74, 1.22), (-74.64, 4.26)),
    "arlbench_pendulum_sac": Published((-286.2, 131.0), (-291.7, 194.0), (-207.9, 57.9)),
}
"""By experiment, the cheapest first."""
FLOORS = {
    "arlbench_mountain_car_continuous_ppo": -100.0,
    "arlbench_pendulum_ppo": -2000.0,
    "arlbench_cartpole_dqn": 0.0,
    "arlbench_mountain_car_dqn": -200.0,
    "arlbench_acrobot_dqn": -500.0,
    "arlbench_pendulum_sac": -2000.0,
}
"""What a failed training counts as: the least return of an episode; on Pendulum less than any mean return that agents have shown."""
ARMS: dict[str, list[str]] = {
    "auto": [],
    "auto_no_prior": ["search.prior=none"],
    "random": [
        "search.method=random",
        "search.policy=whole",
        "budget.trainings=32",
        "seeds.search=3",
        "evaluation.averaged=1",
        "finalists=1",
        "baselines.default=false",
    ],
}
ARMS |= {
    f"{arm}_limits_end": [*ARMS[arm], "learner.hyperparameters.bootstrap_time_limits=false"]
    for arm in ("auto", "random")
}

JUDGED = {"auto": "random", "auto_limits_end": "random_limits_end"}
"""Arms of which is said whether they reach what was published, each with the random search on the same learners."""


def run_one(experiment: str, arm: str, seed: int) -> dict[str, Any]:
    """Run, or go on with, one study; return what became of it.

    Raises:
        UsageError: It spent more than was granted.
    """
    name = f"{experiment}-{arm}-{seed}".replace("_", "-")
    began, used = time.perf_counter(), time.process_time()
    study = opened(experiment, [*ARMS[arm], f"seeds.study={seed}"], name, ROOT)
    with study:
        study.run()
        env_steps = study.plain_specification()["budget"]["env_steps"]
        found = outcome(study.trials("method", None), env_steps, FLOORS[experiment])
    if found["trainings"] > GRANTED:
        raise UsageError(
            f"{name}: {found['trainings']} trainings spent, {GRANTED} are granted. Remedy: a smaller budget."
        )
    seconds = {"wall_seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
    return {"arm": arm, "seed": seed, **found, **{key: round(value, 1) for key, value in seconds.items()}}


def outcome(trials: Sequence[Any], env_steps: int, floor: float) -> dict[str, Any]:
    """Return incumbent, test value and work of a finished study, of its arm ``method``.

    Args:
        trials: All of the arm's.
        env_steps: Of a whole training.
        floor: What a failed training counts as.
    """
    (tested,) = [t for t in trials if t.phase == "test"]
    finalists = [t for t in trials if t.phase == "finalists" and t.source == tested.source]
    (chosen,) = finalists or [t for t in trials if t.phase == "search" and t.number == tested.source]
    selecting = [t for t in trials if t.phase != "test"]
    spent = sum(t.ledger.train_env_steps for t in selecting) / env_steps
    searched = next((t for t in trials if t.phase == "search" and t.number == tested.source), chosen)
    raced = at_end(searched, floor)[1:] if finalists else []  # the first made it a finalist
    ends = {"incumbent": at_end(chosen, floor), "test": at_end(tested, floor)}
    ends["all_that_chose"] = [*raced, *ends["incumbent"]]
    return {
        **{key: round(float(np.mean(own)), 3) for key, own in ends.items()},
        "test_scores": [round(score, 3) for score in ends["test"]],
        "failed_of_incumbent": failures(chosen),
        "failed_of_test": failures(tested),
        "trainings": round(spent, 2),
        "trials": sum(t.phase == "search" for t in trials),
        "failed": sum(t.status.value not in ("completed", "pruned") for t in selecting),
        "candidate": dict(tested.candidate),
        "training_seconds": round(sum(t.ledger.wall_seconds for t in trials), 1),
    }


def at_end(trial: Any, floor: float) -> list[float]:
    """Return the mean returns of the last evaluation of each of a trial's trainings; ``floor`` for one that failed.

    A training that diverges is evaluated no more: its curve ends earlier, with what it scored before, and only the trial's scores say so.
    """
    (scores,) = trial.scores
    ends = {curve.seed: curve.scores[-1] for curve in trial.curves if curve.scores}
    return [floor if score is None or ends.get(seed) is None else ends[seed] for seed, score in enumerate(scores)]


def failures(trial: Any) -> int:
    """Return how many of a trial's trainings failed."""
    return sum(score is None for row in trial.scores for score in row)


def read(path: Path) -> list[dict[str, Any]]:
    """Return the finished repeats of an experiment; a line cut short by a kill is none.

    Raises:
        StudyError: A line is no result.
    """
    return json_lines.read(path, {"arm": str, "seed": int, "failed_of_test": int})


def results_of(experiment: str) -> Path:
    """Return where the repeats of an experiment are kept."""
    return EXPERIMENTS / f"{experiment}.repeats.jsonl"


def summary(experiment: str) -> dict[str, Any]:
    """Return each arm's incumbents and test values (mean, 95 % interval), beside the published ones."""
    lines, published = read(results_of(experiment)), PUBLISHED[experiment]
    found: dict[str, Any] = {"smac_published": published.smac, "random_published": published.random}
    if published.lenient_smac is not None:
        found["lenient_smac_published"] = published.lenient_smac
    for arm in ARMS:
        own = [line for line in lines if line["arm"] == arm]
        if own:
            found[arm] = {
                "repeats": len(own),
                **{key: interval([line[key] for line in own]) for key in ("incumbent", "test", "trainings")},
                **{key: sum(line[key] for line in own) for key in ("failed_of_incumbent", "failed_of_test")},
                "wall_seconds": float(np.mean([line["training_seconds"] for line in own])),
            }
            if all("all_that_chose" in line for line in own):  # lines of older versions have none
                found[arm]["all_that_chose"] = interval([line["all_that_chose"] for line in own])
    for arm, random in JUDGED.items():
        if arm in found:
            mean = found[arm]["incumbent"]["score"]
            rivals = [published.random[0], *([found[random]["incumbent"]["score"]] if random in found else [])]
            found[arm] |= {"reaches_smac": bool(mean >= published.smac[0]), "reaches_random": bool(mean >= max(rivals))}
    return found


def text(experiment: str, found: Mapping[str, Any]) -> str:
    """Return the lines for people."""
    smac, random = found["smac_published"], found["random_published"]
    lines = [f"{experiment}: published SMAC {smac[0]:g} ± {smac[1]:g}, random search {random[0]:g} ± {random[1]:g}"]
    if "lenient_smac_published" in found:
        mean, spread = found["lenient_smac_published"]
        lines[0] += f" (SMAC {mean:g} ± {spread:g} where one training that did not fail is enough)"
    for arm in ARMS:
        if arm in found:
            one = found[arm]
            shown = [f"{key} {_shown(one[key])}" for key in ("incumbent", "test")]
            lines.append(
                f"  {arm:17s} {one['repeats']} repeats: {', '.join(shown)}; {one['trainings']['score']:.1f} trainings, "
                f"{one['wall_seconds']:.0f} s each; failed: {one['failed_of_incumbent']} trainings of incumbents, "
                f"{one['failed_of_test']} of tests"
            )
            if one.get("all_that_chose", one["incumbent"]) != one["incumbent"]:
                lines[-1] += f"; all trainings that chose the incumbents: {_shown(one['all_that_chose'])}"
            if arm in JUDGED:
                lines.append(f"    reaches SMAC: {one['reaches_smac']}; reaches random search: {one['reaches_random']}")
    return "\n".join(lines)


def _shown(value: Mapping[str, float | None]) -> str:
    reach = "" if value["low"] is None else f" [{value['low']:.2f}, {value['high']:.2f}]"
    return f"{value['score']:.2f}{reach}"


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the repeats that are missing; return the summaries."""
    for experiment in [] if arguments.only_print else arguments.experiments:
        path = results_of(experiment)
        have = {(line["arm"], line["seed"]) for line in read(path)}
        for seed in range(arguments.repeats):
            if (arguments.arm, seed) in have:
                continue
            line = run_one(experiment, arguments.arm, seed)
            keep(path, line)
            print(f"{experiment} {arguments.arm} {seed}: {line['incumbent']}, test {line['test']}", file=sys.stderr)
    return {experiment: summary(experiment) for experiment in arguments.experiments}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", nargs="*", choices=PUBLISHED, default=list(PUBLISHED), metavar="NAME")
    parser.add_argument("--arm", choices=ARMS, default="auto")
    parser.add_argument("--repeats", type=int, default=5, help="study seeds 0 to this number less one")
    parser.add_argument("--only-print", action="store_true", help="run nothing")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        if arguments.repeats < 1:
            raise UsageError(f"--repeats {arguments.repeats}: expected a whole number of at least 1.")
        found = run(arguments)
    except AutoRLError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    if arguments.json:
        print(json.dumps(found))
        return
    for experiment, values in found.items():
        print(text(experiment, values))


if __name__ == "__main__":
    main()
