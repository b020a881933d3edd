"""What ``auto`` stands for: the search method and the budget policy that fit a space and a budget, with the reasons.

Trainings are cut because on ARLBench's landscapes (Becktepe et al., 2024) random proposals under ``race`` score 0.777 at 32 trainings,
random search with three seeds 0.589 (``benchmarks/landscapes.py --method random --policy race``).

A run is scored by the mean of the later half of its checkpoints. That was chosen in a prototype on the tuning seeds alone (a search on
four, scored on the fifth; 200 repeats of 18 tasks): 5 of 10 checkpoints over 3 of 10 gave 0.004 +- 0.004 at 32 and 0.011 +- 0.004 at
96 trainings. Some thirty variants of the cuts, their shares and the work of the race were tried there too; none beat the policy's
defaults by two standard errors at both budgets, so they stay.

So measured on the test seeds (``--method auto``, 80 repeats, 95 % intervals): 0.797 [0.786, 0.807] at 32 and 0.873 [0.865, 0.881] at 96
trainings without a prior, 0.795 [0.786, 0.804] and 0.878 [0.874, 0.881] with one learned from the other tasks; random search with
three seeds 0.587 and 0.722.

A model that is told of trials at the first cut, a fifth of the steps, has shown no gain over drawn candidates on those landscapes:
so the first `DRAWN` trials are drawn, by the prior where there is one, and a model proposes the ones beyond. Where there are none
beyond, the method is what is done: random search by the prior, or Sobol points, which leave no gaps (on the tuning seeds 0.001 +- 0.005
better than random ones at 32 trainings, 300 repeats, and 0.013 +- 0.005 at 96, 185 repeats). (``n_startup_trials`` in ``given`` brings
the model in earlier, with ``drawn_fraction`` and ``prior_fraction`` beside it; ``benchmarks/learners.py`` compares such variants of
``auto``.)

A cut judges by how fast a configuration learns: the one of ARLBench's space that is nearest to PPO's defaults ends at 500 on CartPole, and
was cut at 60 % there. So what a search began with is a finalist whatever the cuts said of it (`autorl.engine.selection.with_given`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autorl.outer.budget.cuts_and_race import CutsAndRace
from autorl.outer.budget.joined import most_trials
from autorl.outer.budget.policies import make_policy
from autorl.outer.budget.protocol import BudgetPolicy
from autorl.outer.full_trainings import FullTrainings
from autorl.outer.methods import GP_LIMIT, METHODS, NUMERIC, method_settings, resolve_auto
from autorl.outer.protocol import Budget
from autorl.spaces import Space

BATCH = 16
"""Trials that start together under a policy: enough to fill the lanes of a few cores, few enough for a model to learn in between. The same
on every machine, since it decides which trials a study has."""
DRAWN = 200
"""Trials that are drawn, by the prior or at random, before a model proposes any, where trainings are cut: see `choose`."""


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        method: Name of a search method.
        settings: What it is to differ in from its defaults: what was given, and where nothing was, what was chosen.
        policy: Name of a budget policy; None where trainings are whole.
        policy_settings: What it is to differ in from its defaults.
        starts: Whether it can begin with given configurations, such as the learner's default.
        why: Sentences for people.
    """

    method: str
    settings: Mapping[str, Any]
    policy: str | None
    policy_settings: Mapping[str, Any]
    starts: bool
    why: str


def choose(
    space: Space,
    trainings: int,
    checkpoints: int,
    *,
    whole: str = "",
    policy: BudgetPolicy | None = None,
    given: Mapping[str, Any] | None = None,
    candidates: bool = False,
    prior: bool = False,
) -> Choice:
    """Return the method and the policy for a search.

    Args:
        space: What may be proposed.
        trainings: Whole trainings granted.
        checkpoints: Evaluations of a training: where it can be cut.
        whole: Why no training may be cut, if so.
        policy: That of the experiment, if it names one.
        given: Settings of the method that the experiment names.
        candidates: Whether the experiment names configurations to start with, or a prior.
        prior: Whether a prior is there to draw candidates, if the method draws any.
    """
    reason = whole or _never_cut(space, trainings, checkpoints)
    tuned: dict[str, Any] = {}
    if policy is None and not reason:
        name = "halving" if checkpoints % 5 else "race"  # its cuts are at fifths of the steps
        tuned = {"last": -(-checkpoints // 2)} if name == "race" else {}
        policy = make_policy(name, Budget(trainings, checkpoints), 1, tuned)
    trials = trainings if policy is None else most_trials(policy, trainings, checkpoints)
    cut = policy is not None and policy.comparable_at is not None
    own = bool((given or {}).keys() - method_settings("es"))
    method = resolve_auto(space, Budget(trials, checkpoints), cut=cut, candidates=candidates or own)
    drawn = cut and "n_startup_trials" in method_settings(method)  # a model would be told of cut trainings
    only = drawn and _all_drawn(trials, given or {})
    why = f"{method}: {_because(method, space, trials)}"
    if only:
        method = _drawing(space, given or {}, prior)
        kind = "Sobol points" if method == "sobol" else "drawn candidates"
        why = f"{kind}: at most {trials} trials start, too few for a model that would know cut trainings alone"
    starts = issubclass(METHODS.load(method), FullTrainings)
    sentences = [f"auto chose {why}."]
    if drawn and not only:
        first = (given or {}).get("n_startup_trials", DRAWN)
        beyond = "are drawn, not proposed by its model, which would know cut trainings alone"
        sentences.append(f"At most {trials} trials start; the first {first} of them {beyond}.")
    sentences.append(f"Trainings are whole: {reason}." if policy is None else _describe(policy, checkpoints))
    if not starts and prior:
        sentences.append(
            f"{method} begins with a distribution of its own: neither with given configurations nor with a prior's."
        )
    settings: dict[str, Any] = {"batch": BATCH} if starts and policy is not None else {}
    settings |= {"n_startup_trials": DRAWN} if drawn and not only else {}
    modelled = method not in ("random", "sobol")  # of those two no trial is the first of a model
    settings |= {name: value for name, value in (given or {}).items() if modelled or name != "n_startup_trials"}
    return Choice(method, settings, None if policy is None else policy.name, tuned, starts, " ".join(sentences))


def _all_drawn(trials: int, given: Mapping[str, Any]) -> bool:
    """Return whether no model would propose any of ``trials``: then it is random search, unless ``given`` has settings of the model."""
    own = given.keys() - {*method_settings("random"), "n_startup_trials"}
    return not own and trials <= int(given.get("n_startup_trials", DRAWN))


def _drawing(space: Space, given: Mapping[str, Any], prior: bool) -> str:
    """Return the method of a search of which no model proposes a trial: Sobol points, where no prior is there to draw instead."""
    known = {*method_settings("sobol"), "n_startup_trials"}  # of the latter nothing is left
    spread = not prior and space.features() <= METHODS.load("sobol").searches and given.keys() <= known
    return "sobol" if spread else "random"


def _never_cut(space: Space, trainings: int, checkpoints: int) -> str:
    """Return why the trainings of such a search should be whole; nothing if they can be cut."""
    features = space.features()
    if "graph" in features:
        return "loss graphs have hurdles instead"
    if "arrays" in features:
        return "weights are compared at the end of a training"
    if checkpoints < 2:
        return "evaluation.points is 1, so there is nowhere to cut"
    return "" if trainings > 1 else "there is but one"


def _because(method: str, space: Space, trials: int) -> str:
    features = space.features()
    size = f"{getattr(space, 'unit_dimension', 0)} dimensions, {trials} trials at most"
    if "graph" in features or "arrays" in features:
        return f"the space has {'loss graphs' if 'graph' in features else 'arrays of weights'}"
    if features <= NUMERIC:
        without = "many trials" if trials > GP_LIMIT else "torch is not installed"
        return f"all dimensions are numbers, {({'gp': 'few', 'es': 'many'}).get(method, without)} ({size})"
    return f"some dimensions are choices or conditional ({size})"


def _describe(policy: BudgetPolicy, checkpoints: int) -> str:
    """Return the policy in a sentence."""
    cuts = ", ".join(f"{rung / checkpoints:.0%}" for rung in policy.rungs[:-1])
    if not cuts:
        most = "trials" if policy.starts is None else f"at most {policy.starts} trials"
        return f"Budget policy {policy.name}: {most} start, each trained whole, on as many seeds as it holds its own."
    begun = "" if policy.starts is None else f"{policy.starts} trials start, and "
    text = f"Budget policy {policy.name}: {begun}trials are cut at {cuts} of the steps"
    if isinstance(policy, CutsAndRace) and policy.pilots:
        text = f"{text}, from the first of these on that tells the first {policy.pilots} apart (where it is a later one, fewer start)"
    if not isinstance(policy, CutsAndRace):
        return f"{text}."
    if policy.finishers < 2:
        return f"{text}; one is left then and has nobody to race, so that the rest of the work is not spent."
    return f"{text}; the rest of the work races seeds."
