"""Realistic made-up studies: scores are a known function of the candidate plus noise, so tests know what is true."""

from dataclasses import replace

import numpy as np

from autorl.keys import derive, generator, training_seeds
from autorl.outer.lineage import final_generation, schedule
from autorl.outer.protocol import Status
from autorl.spaces import Bool, Categorical, Condition, Float, HyperparameterSpace, Int
from autorl.studies.trial import Curve, Ledger, Stage, Trial

SPACE = HyperparameterSpace(
    "ppo_test",
    {
        "learning_rate": Float(1e-6, 1e-1, scale="log"),
        "gamma": Float(0.8, 0.9999, scale="one_minus_log"),
        "clip_eps": Float(0.0, 0.5),
        "minibatch_size": Categorical((64, 128, 256)),
        "activation": Categorical(("relu", "tanh")),
        "n_steps": Int(8, 512, log=True),
        "normalize_observations": Bool(),
        "vf_clip_eps": Float(0.0, 0.5),
    },
    {"vf_clip_eps": Condition("normalize_observations", (True,))},
)
PBT_SPACE = HyperparameterSpace(
    "pbt_test",
    {
        "learning_rate": Float(1e-6, 1e-1, scale="log"),
        "gamma": Float(0.8, 0.9999, scale="one_minus_log"),
        "ent_coef": Float(0.0, 0.5),
        "normalize_observations": Bool(),
    },
)
STEPS = 100_000


def specification(method="tpe", trainings=48, **changes):
    found = {
        "name": "cartpole",
        "description": "Tune PPO on CartPole.",
        "environment": [{"id": "gymnax:CartPole-v1", "task": {}, "score_range": None}],
        "learner": {"algorithm": "ppo", "hyperparameters": {}},
        "search": {"space": "ppo_test", "method": method, "settings": {}, "batch": None},
        "schedule": None,
        "budget": {"trainings": trainings, "env_steps": STEPS},
        "seeds": {"study": 0, "search": 1, "tuning": 5, "test": 10},
        "evaluation": {"episodes": 64, "points": 5},
        "finalists": 3,
        "baselines": {"default": True, "random": True},
        "expected": {"minutes": 1.0, "score": [440.0, 500.0]},
    }
    return {**found, **changes}


MANIFEST = {
    "autorl": "0.1.0",
    "python": "3.11.7",
    "packages": {"jax": "0.10.2", "numpy": "2.4.6", "optuna": "5.0.0"},
    "platform": "Linux-6.1-x86_64",
    "machine": "x86_64",
    "processor": "A processor <&> Co",
    "cpus": 2,
    "device": ["TFRT_CPU_0", "TFRT_CPU_1"],
    "command": ["autorl", "run", "cartpole", "search.method=tpe"],
    "git": {"commit": "0123456789abcdef", "changed": False},
    "seeds": {role: list(training_seeds(0, role, n)) for role, n in (("search", 1), ("tuning", 5), ("test", 10))},
    "started": "2026-11-21T02:00:00+00:00",
}


def quality(candidate):
    """True mean score of a candidate, between 9 and 500: the learning rate matters most, the activation not at all."""
    rate = candidate.get("learning_rate", 3e-4)
    fit = np.exp(-((np.log10(rate) + 3.2) ** 2) / 0.9)
    fit *= np.exp(-((np.log10(1 - candidate.get("gamma", 0.98)) + 1.8) ** 2) / 4.0)
    fit *= 1.0 - 0.5 * abs(candidate.get("clip_eps", 0.2) - 0.2)
    fit *= 1.0 if candidate.get("normalize_observations", True) else 0.9
    return 9.0 + 491.0 * fit


def train(trial, environments=1, skill=None, noise=0.06):
    """Return ``trial`` as trained: final scores, curves with five points, a ledger; learning rates above 0.05 diverge."""
    top = quality(trial.candidate) if skill is None else skill
    rng = generator(derive(7, trial.arm, trial.phase, trial.number))
    failed = trial.candidate.get("learning_rate", 0.0) > 0.05
    points = tuple(int(trial.env_steps * (i + 1) / 5) for i in range(5))
    rows, curves = [], []
    for e in range(environments):
        row = []
        for s in range(len(trial.seeds)):
            end = float(np.clip(top * (1 + noise * rng.standard_normal()), 9.0, 500.0))
            pace = rng.uniform(0.8, 2.5)
            values = [9 + (end - 9) * (1 - np.exp(-pace * (i + 1))) / (1 - np.exp(-pace * 5)) for i in range(5)]
            curves.append(
                Curve(e, s, points, tuple(None if failed and i > 1 else float(v) for i, v in enumerate(values)))
            )
            row.append(None if failed else end)
        rows.append(tuple(row))
    flat = [score for row in rows for score in row if score is not None]
    return replace(
        trial,
        status=Status.DIVERGED if failed else Status.COMPLETED,
        scores=tuple(rows),
        curves=tuple(curves),
        score=None if failed else float(np.mean(flat)),
        message="loss or parameters became non-finite after 40,960 env steps" if failed else "",
        ledger=Ledger(
            trial.env_steps * len(trial.seeds), 64 * 400 * len(trial.seeds), 3900 * len(trial.seeds), 0.4, 1.7
        ),
        told=trial.number,
    )


def search(space=SPACE, arm="method", count=48, environments=1):
    """A search that closes in on the optimum (``method``), or does not (``random``)."""
    seeds, trials = training_seeds(0, "search", 1), []
    for n in range(count):
        key = derive(1, arm, n)
        done = [t for t in trials if t.score is not None]
        if arm == "method" and n > 12 and generator(key).random() < 0.7:
            best = sorted(done, key=lambda t: -t.score)[: 1 + n % 4][-1]
            candidate, origin = space.mutate(key, best.candidate, 0.4, 0.1), "model"
        else:
            candidate, origin = space.sample(key), "sample"
        trials.append(train(Trial(arm, "search", n, candidate, STEPS, origin=origin, seeds=seeds), environments))
    return trials


def conclude(searched, arm, finalists=3):
    """Finalists on tuning seeds and a test trial for one arm, as the engine makes them."""
    top = sorted((t for t in searched if t.score is not None), key=lambda t: -t.score)[:finalists]
    made = [
        train(Trial(arm, "finalists", i, t.candidate, STEPS, source=t.number, seeds=training_seeds(0, "tuning", 5)))
        for i, t in enumerate(top)
    ]
    best = max(made, key=lambda t: t.score)
    return [*made, final_trial(arm, best.candidate, best.source)]


def final_trial(arm, candidate, source=None, **fields):
    trial = Trial(arm, "test", 0, candidate, STEPS, source=source, seeds=training_seeds(0, "test", 10), **fields)
    return train(trial, skill=310.0 if arm == "default" else None)


def study(count=48):
    """A finished study: search, random search, finalists, test of all three arms."""
    ours, others = search(count=count), search(arm="random", count=count)
    return [*ours, *others, *conclude(ours, "method"), *conclude(others, "random"), final_trial("default", {})]


def pbt(population=12, generations=8):
    """A PBT search: each generation the worst quarter copies one of the best and perturbs."""
    seeds, trials, steps = training_seeds(0, "search", 1), [], STEPS // generations
    current = []
    for g in range(generations):
        ranked = sorted(current, key=lambda t: -t.score)
        quarter = max(1, population // 4)
        worst = {t.number for t in ranked[-quarter:]}
        following = []
        for slot in range(population):
            number = g * population + slot
            if g == 0:
                trial = Trial("method", "search", number, PBT_SPACE.sample(derive(3, slot)), steps, seeds=seeds)
            else:
                old = current[slot]
                if old.number in worst:
                    old = ranked[int(generator(derive(4, number)).integers(quarter))]
                    candidate, origin = PBT_SPACE.perturb(derive(5, number), old.candidate), "exploit"
                else:
                    candidate, origin = old.candidate, "keep"
                trial = Trial("method", "search", number, candidate, steps, parent=old.number, generation=g,
                              origin=origin, seeds=seeds)  # fmt: skip
            grown = quality(trial.candidate) * (0.3 + 0.7 * (g + 1) / generations)
            following.append(replace(train(trial, skill=grown, noise=0.02), status=Status.COMPLETED))
            if following[-1].score is None:
                following[-1] = replace(following[-1], score=9.0, scores=((9.0,),), message="")
        current = following
        trials += following
    return trials


def pbt_study():
    """A finished PBT study whose test trial replays the best lineage's schedule."""
    ours, others = pbt(), search(PBT_SPACE, "random", 12)
    best = max(final_generation(ours), key=lambda t: t.score)
    stages = tuple(Stage(until, candidate) for until, candidate in schedule(ours, best.number))
    finalist = train(Trial("method", "finalists", 0, best.candidate, STEPS, schedule=stages, source=best.number,
                           seeds=training_seeds(0, "tuning", 5)))  # fmt: skip
    ours += [finalist, final_trial("method", best.candidate, best.number, schedule=stages)]
    return [*ours, *others, *conclude(others, "random"), final_trial("default", {})]
