"""What an engine does with a budget policy, without agents: carry out its orders, look the scores up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from autorl.outer.budget.protocol import BudgetPolicy, Order, Run

Score = Callable[[int, int], float]
"""Score of a trial at an environment step."""


def run_at(trial: int, *scores: float, spacing: int = 1, **changes: object) -> Run:
    """Return a run with these scores, one each ``spacing`` steps, that waits for nothing."""
    points = tuple((spacing * (k + 1), score) for k, score in enumerate(scores))
    return replace(Run(trial, spacing * len(scores), points), **changes)  # type: ignore[arg-type]


def drive(
    policy: BudgetPolicy, score: Score, workers: int, limit: int, spacing: int = 1
) -> tuple[list[Order], list[Run]]:
    """Return the first ``limit`` orders, each batch of ``workers`` carried out before the next, and the runs after them."""
    runs: dict[tuple[int, int], Run] = {}
    given: list[Order] = []
    while len(given) < limit:
        for trial in policy.stops(list(runs.values())):
            runs[trial, 0] = replace(runs[trial, 0], ended=True)
        batch = policy.orders(list(runs.values()), min(workers, limit - len(given)))
        if not batch:
            break
        for order in batch:
            steps = range(spacing, order.env_steps + 1, spacing)
            scores = tuple((step, score(order.trial, step)) for step in steps)
            runs[order.trial, order.seed] = Run(order.trial, order.env_steps, scores, order.seed)
        given += batch
    return given, list(runs.values())
