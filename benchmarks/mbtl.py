"""On which tasks to train: methods that choose training tasks, on the synthetic transfer matrices of SD-MBTL (2026).

    python benchmarks/mbtl.py [--json] [--trials 100] [--first-trial 0] [--only METHOD ...] [--noise 5] [--record FILE]

512 tasks, a grid of 8 x 8 x 8. The score on task y of a policy trained on x is 500, less a distance, plus f(x), plus g(y), plus Gaussian
noise of standard deviation --noise: f and g linear (4 and 3 a cell) or none; the distance |x - y|, 3 a cell (L1), or one that on its
lower side rises in the third coordinate only (non-distance). The draws are those of the published generator (numpy's legacy stream, the
trial as seed), so the matrices are the published ones, and the oracle's figures are equal to the published table's in all four
digits: one cell is compared before anything else runs. Scores are scaled to [0, 1] by the least and the
greatest of 100 trials. A method trains on 50 tasks, one after another; what counts is the mean over tasks of the greatest score. The
myopic oracle sees all 100 matrices and adds the task that helps most on average.

"aggregate" is 0 for random choice and 1 for the oracle, averaged over the eight settings; its 95 % interval comes from 2,000 bootstrap
samples of the trials. Published, with noise 5: gp_mbtl .603 ± .067, m_mbtl .218 ± .023, mgp_mbtl .871 ± .014. Nothing was tuned here:
constants are the published ones. With --record, each setting of each method is a line of FILE as soon as it is done, and what stands
there is not run again.

    python benchmarks/mbtl.py --train contextual:CartPole-v1 [--vary length masscart masspole] [--scales 0.2 2] [--side 4]
        [--policies 12] [--budget 32768] [--trials 3] [--scores 0 500] [--only METHOD ...] [--record FILE]

trains PPO where the methods say (`autorl/engine/task_study.py`), after the CartPole tasks of Cho et al. (2024): a grid of the features
--vary, from --scales[0] to --scales[1] of their defaults (published: 10 a feature, 5 million env steps a training). Each policy is tried
twice in every task: the first score is what methods see and by which tasks choose their policy, the second is reported, as a part of
--scores. Beside MBTL's methods stands rolling-horizon evolution, whose policies go on from task to task; all have as many trainings of
--budget env steps, of which rolling horizons may leave a few. "One policy" is the best one alone by what it showed, or the student that
was evolved. With --trials 10: random .984 ± .011, gp_mbtl .994 ± .004, mgp_mbtl .986 ± .014, m_mbtl .981 ± .013, rolling horizons .976 ±
.019, and no difference from random that its interval tells from 0: a dozen policies master nearly all tasks, wherever they were trained.
With --record, each training is a line of FILE, and a run that was stopped goes on from there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from autorl.outer.tasks.methods import TASK_METHODS
from autorl.outer.tasks.protocol import TaskSelection, generalisation

ALL = (*TASK_METHODS, "rolling_horizon")
SIDE, POLICIES, TRIALS = 8, 50, 100
SETTINGS = [(f, g, h) for f in (0, 1) for g in (1, 0) for h in ("non-distance", "L1")]
"""f and g (1: linear) and the distance, in the order of the published table."""
LEFT = {"L1": (-3, -3, -3), "non-distance": (1, 1, -3)}
PUBLISHED = {
    5: {
        "random": (0.6956, 0.7011, 0.7906, 0.7722, 0.5773, 0.5880, 0.6672, 0.7401),
        "gp_mbtl": (0.7212, 0.6961, 0.8369, 0.7747, 0.6088, 0.6218, 0.7083, 0.7744),
        "m_mbtl": (0.6976, 0.7038, 0.7936, 0.7762, 0.5782, 0.5900, 0.6683, 0.7422),
        "mgp_mbtl": (0.7168, 0.7038, 0.8334, 0.7762, 0.6086, 0.6216, 0.7073, 0.7751),
        "oracle": (0.7260, 0.7048, 0.8375, 0.7778, 0.6090, 0.6221, 0.7088, 0.7756),
    }
}
"""By noise; the cells of the published table in the order of `SETTINGS`."""
AGGREGATES = {"gp_mbtl": 0.603, "m_mbtl": 0.218, "mgp_mbtl": 0.871}


def tasks() -> np.ndarray:
    """Return the tasks, float [512, 3], in C order."""
    return np.stack(np.meshgrid(*[np.arange(SIDE)] * 3, indexing="ij"), axis=-1).reshape(-1, 3).astype(float)


def matrices(setting: tuple[int, int, str], noise: float) -> np.ndarray:
    """Return the transfer matrices of all trials, float [100, 512, 512], scaled to [0, 1]."""
    f, g, kind = setting
    x = tasks()
    difference = x[:, None] - x[None]
    distance = np.minimum(difference, 0) @ np.array(LEFT[kind]) + np.maximum(difference, 0) @ np.array([3, 3, 3])
    base = 500 - distance + f * 4 * x.sum(axis=1)[:, None] + g * 3 * x.sum(axis=1)[None]
    # the legacy generator, on purpose: see above
    drawn = [np.random.RandomState(trial).normal(0, 1, base.shape) for trial in range(TRIALS)]
    made = np.stack([base + noise * one for one in drawn])
    return (made - made.min()) / (made.max() - made.min())


def oracle(transfer: np.ndarray) -> np.ndarray:
    """Return the scores of the myopic oracle, one for each trial."""
    best = np.full(transfer.shape[::2], -np.inf)
    chosen: list[int] = []
    for _ in range(POLICIES):
        values = [np.maximum(best, transfer[:, task]).mean() for task in range(transfer.shape[1])]
        chosen.append(max((task for task in range(len(values)) if task not in chosen), key=values.__getitem__))
        best = np.maximum(best, transfer[:, chosen[-1]])
    return best.mean(axis=1)


@cache
def made(name: str, seed: int) -> TaskSelection:
    """Return a method. It is kept: one that looks at no score chooses the same in every setting."""
    return TASK_METHODS.load(name)(tasks(), seed)


def play(name: str, matrix: np.ndarray, seed: int) -> float:
    """Return the score of a method after its last policy."""
    method = made(name, seed)
    state = method.init()
    for _ in range(POLICIES):
        task = method.ask(state)
        state = method.tell(state, task, matrix[task])
    return generalisation(state)


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a line for each setting and method, from the record where it has as many trials or more."""
    lines, served = read(options.record), []
    wanted = [*dict.fromkeys(["oracle", "random", *(options.only or TASK_METHODS)])]
    span = range(options.first_trial, options.first_trial + options.trials)
    for number, setting in enumerate(SETTINGS):
        transfer = None
        for name in wanted:
            key = {"method": name, "setting": list(setting), "noise": options.noise, "policies": POLICIES}
            key |= {"first_trial": span.start}
            line = next((x for x in lines if key.items() <= x.items() and len(x["scores"]) >= len(span)), None)
            if line is None:
                transfer = matrices(setting, options.noise) if transfer is None else transfer
                worked = time.process_time()
                if name == "oracle":
                    scores = list(oracle(transfer)[span.start : span.stop])
                else:
                    scores = [play(name, transfer[trial], trial) for trial in span]
                rounded = [round(float(score), 6) for score in scores]
                line = key | {"scores": rounded, "cpu_seconds": round(time.process_time() - worked, 1)}
                if options.record:
                    with options.record.open("a") as file:
                        file.write(json.dumps(line) + "\n")
                if not options.json:
                    print(f"{number + 1}/8 {name}: {np.mean(scores):.4f}", file=sys.stderr, flush=True)
            served.append(line | {"scores": line["scores"][: len(span)]})
    return served


def read(path: Path | None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path and path.exists() else []


def check() -> None:
    """Compare the oracle of one setting, f and g linear and L1, with the published .6221.

    Raises:
        SystemExit: It differs.
    """
    found = oracle(matrices((1, 1, "L1"), 5)).mean()
    if round(found, 4) != 0.6221:
        raise SystemExit(
            f"the oracle's score is {found:.4f}, not the published .6221: these are not the published matrices"
        )


def summary(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return for each method the mean and 95 % half width of each setting, and the aggregate with its bootstrap interval."""
    table: dict[str, list[np.ndarray]] = {}
    for setting in SETTINGS:
        for line in lines:
            if line["setting"] == list(setting):
                table.setdefault(line["method"], []).append(np.array(line["scores"]))
    draws = np.random.default_rng(0)
    count = len(table["random"][0])
    picks = np.concatenate([np.arange(count)[None], draws.integers(0, count, (2000, count))])
    low, high = (np.stack([scores[picks].mean(axis=1) for scores in table[name]]) for name in ("random", "oracle"))
    found = {}
    for name, rows in table.items():
        means = np.stack([scores[picks].mean(axis=1) for scores in rows])
        aggregate = ((means - low) / (high - low)).mean(axis=0)
        found[name] = {
            "means": [float(scores.mean()) for scores in rows],
            "half_widths": [float(1.96 * scores.std() / count**0.5) for scores in rows],
            "aggregate": float(aggregate[0]),
            "interval": [float(edge) for edge in np.quantile(aggregate[1:], (0.025, 0.975))],
            "cpu_seconds": sum(line["cpu_seconds"] for line in lines if line["method"] == name),
        }
    return found


def show(found: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    names = [f"{'f' if f else '0'}-{'g' if g else '0'}-{h[:3]}" for f, g, h in SETTINGS]
    print(f"{'method':<10}" + "".join(f"{name:>9}" for name in names) + f"{'aggregate':>12} {'95 %':>14} {'cpu s':>7}")
    known = PUBLISHED.get(options.noise, {})
    for name, row in found.items():
        low, high = row["interval"]
        cells = "".join(f"{mean:9.4f}" for mean in row["means"])
        print(f"{name:<10}{cells}{row['aggregate']:12.3f} {f'[{low:.3f}, {high:.3f}]':>14} {row['cpu_seconds']:7.0f}")
        if name in known:
            cells = "".join(f"{mean:9.4f}" for mean in known[name])
            print(f"{'published':>10}{cells}" + (f"{AGGREGATES[name]:12.3f}" if name in AGGREGATES else ""))
    print(f"trials {options.first_trial} to {options.first_trial + options.trials - 1}, {POLICIES} policies each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--trials", type=int, help="at most 100; all of them by default, 3 with --train")
    parser.add_argument("--first-trial", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=list(ALL), help="some of the methods, beside random")
    parser.add_argument("--noise", type=int, default=5)
    parser.add_argument("--record", type=Path, help="file of results, a line for each setting of each method")
    parser.add_argument(
        "--train", metavar="ENVIRONMENT", help="train policies in this one, which declares a task space"
    )
    parser.add_argument("--vary", nargs="+", default=["length", "masscart", "masspole"], help="features of its tasks")
    parser.add_argument("--scales", nargs=2, type=float, default=[0.2, 2.0], help="of the features' defaults")
    parser.add_argument("--side", type=int, default=4, help="tasks along each feature")
    parser.add_argument("--policies", type=int, default=12, help="trainings of a method")
    parser.add_argument("--budget", type=int, default=32_768, help="env steps of a training")
    parser.add_argument("--scores", nargs=2, type=float, default=[0.0, 500.0], help="returns that count as 0 and 1")
    options = parser.parse_args()
    options.trials = options.trials or (3 if options.train else TRIALS)
    if options.train:
        import _mbtl_training  # jax, which the matrices do without

        rows = _mbtl_training.run(options)
        if options.json:
            print(json.dumps({"setting": vars(options) | {"record": None}, "rows": rows}))
        else:
            _mbtl_training.show(rows, options)
        return
    if "rolling_horizon" in (options.only or ()):
        parser.error(
            "--only rolling_horizon: its policies go on from task to task, which the matrices do not say; add --train."
        )
    if not 0 <= options.first_trial < options.first_trial + options.trials <= TRIALS:
        parser.error(f"--first-trial, --trials: expected trials within 0 to {TRIALS - 1}.")
    check()
    found = summary(measured(options))
    if options.json:
        print(json.dumps({"setting": vars(options) | {"record": None}, "rows": found, "published": PUBLISHED}))
    else:
        show(found, options)


if __name__ == "__main__":
    main()
