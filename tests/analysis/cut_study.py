"""A made-up search that successive halving cut at 20, 40, 60 and 80 of 100 steps: the curve of a trial says all that is known of it."""

from autorl.outer.protocol import Status
from autorl.spaces import Float, HyperparameterSpace
from autorl.studies.trial import AT_HURDLE, Curve, Ledger, Trial

SPACE = HyperparameterSpace("cut", {"x": Float(0, 1), "idle": Float(0, 1)})
STEPS = 100
POINTS = 5


def specification(**search):
    return {
        "environment": [{"id": "gymnax:CartPole-v1"}],
        "learner": {"algorithm": "ppo", "hyperparameters": {}},
        "search": {"method": "random", "policy": {"name": "halving", "settings": {}}, **search},
        "budget": {"trainings": 8, "env_steps": STEPS},
        "seeds": {"search": 1},
        "evaluation": {"points": POINTS, "averaged": 2},
    }


def trial(number, *blocks, status=None, candidate=None, points=POINTS):
    """A trial with the curve of each of its seeds; one without a whole first curve was pruned, unless ``status`` says otherwise."""
    steps = STEPS // points
    reached = len(blocks[0]) * steps if blocks else 0
    ends = [None if None in b else sum(b[-2:]) / len(b[-2:]) for b in blocks]
    whole = reached == STEPS
    status = status or (Status.COMPLETED if whole else Status.PRUNED)
    known = [end for end in ends if end is not None]
    return Trial(
        "method",
        "search",
        number,
        candidate or SPACE.sample(number),
        reached,
        seeds=tuple(range(7, 7 + max(1, len(blocks)))),
        status=status,
        scores=(tuple(ends),) if blocks else (),
        score=sum(known) / len(known) if status is Status.COMPLETED else None,
        curves=tuple(
            Curve(0, s, tuple(steps * (i + 1) for i in range(len(block))), tuple(block))
            for s, block in enumerate(blocks)
        ),
        ledger=Ledger(train_env_steps=sum(map(len, blocks)) * steps),
        values={AT_HURDLE: ends[0]} if status is Status.PRUNED and ends else {},
        told=number,
    )


def halved(count=32, quality=None):
    """``count`` trials, the better half kept at each rung, by ``quality`` of the candidate (its ``x``)."""
    worth = quality or (lambda candidate: candidate["x"])
    candidates = [SPACE.sample(i) for i in range(count)]
    ranked = sorted(range(count), key=lambda i: -worth(candidates[i]))
    made = []
    for i, candidate in enumerate(candidates):
        rank = ranked.index(i)
        rungs = 1 + sum(rank < count // 2**k for k in range(1, POINTS))
        # later checkpoints are higher by more than candidates differ, so scores of different rungs are on no common scale
        made.append(trial(i, [worth(candidate) + 2.0 * k for k in range(rungs)], candidate=candidate))
    return made
