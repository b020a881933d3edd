"""Runs a search method under a budget policy on a landscape: the method proposes, the policy cuts, the ledger stops both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from _landscape import Landscape, Work
from _landscape_search import Outcome, answer, proposer, seed_order

from autorl.errors import UsageError
from autorl.keys import derive
from autorl.outer.budget.joined import WIDTH, Joined, most_trials
from autorl.outer.budget.policies import make_policy, policy_settings
from autorl.outer.budget.protocol import Order, Run
from autorl.outer.priors import Prior
from autorl.outer.protocol import Budget, Proposal, Result, Status


@dataclass
class Searched:
    """A search under way, or over.

    Attributes:
        work: What it trained, and the ledger.
        joined: Method and policy.
        state: Of the method.
        seeds: Tuning seeds, in the order in which trials have them.
        runs: Trainings, by trial and position of the seed.
        configurations: Of the trials, by number.
    """

    work: Work
    joined: Joined
    state: Any
    seeds: tuple[int, ...]
    runs: dict[tuple[int, int], Run] = field(default_factory=dict)
    configurations: list[int] = field(default_factory=list)
    asked: dict[int, Proposal] = field(default_factory=dict)
    pending: dict[int, Proposal] = field(default_factory=dict)
    told: list[int] = field(default_factory=list)
    rung: int = 0

    @property
    def outcome(self) -> Outcome:
        """What the policy chooses of it."""
        winner = self.configurations[self.joined.policy.winner(tuple(self.runs.values()))]
        return Outcome(winner, self.work.landscape.test_score(winner), self.work.spent)

    def step(self) -> bool:
        """Carry out what is due; return whether there was anything to do."""
        for trial in self.joined.policy.stops(tuple(self.runs.values())):
            self.runs[trial, 0] = replace(self.runs[trial, 0], ended=True)
        self._tell()
        due = self.joined.due(self.state, tuple(self.runs.values()), self.pending.values(), WIDTH)
        for proposal in due.proposals:
            self._place(proposal)
        for order in due.orders:
            self._carry_out(order)
        self._tell()
        return bool(due.orders)

    def _place(self, proposal: Proposal) -> None:
        """Take the nearest configuration not yet trained for a proposal."""
        landscape = self.work.landscape
        if len(self.configurations) == len(landscape.configurations):
            raise UsageError(
                f"landscape {landscape.name!r}: policy {self.joined.policy.name!r} starts more than the "
                f"{len(self.configurations)} configurations on record. Remedy: fewer --trainings, or another --policy."
            )
        self.asked[proposal.number] = self.pending[proposal.number] = proposal
        point = landscape.space.to_unit(proposal.candidate)
        self.configurations.append(self.work.nearest(point, self.configurations))

    def _carry_out(self, order: Order) -> None:
        landscape = self.work.landscape
        run = self.runs.get((order.trial, order.seed), Run(order.trial, 0, seed=order.seed))
        configuration, seed = self.configurations[order.trial], self.seeds[order.seed]
        self.work.train(configuration, seed, run.env_steps / landscape.env_steps, order.env_steps / landscape.env_steps)
        spacing = landscape.env_steps // landscape.checkpoints
        curve = self.work.curve(configuration, seed).tolist()
        scores = tuple((spacing * (k + 1), score) for k, score in enumerate(curve))
        self.runs[order.trial, order.seed] = replace(run, env_steps=order.env_steps, scores=scores)

    def _tell(self) -> None:
        """Tell the method what trials scored where the policy says that scores can be compared: all anew, as that place may move."""
        rung = self.joined.policy.comparable(tuple(self.runs.values()))
        found = {number: self.joined.told(self.runs[number, 0], rung) for number in self.asked}
        known = [number for number in self.told if found[number] is not None]
        known += [number for number in self.asked if found[number] is not None and number not in self.told]
        if (rung, known) == (self.rung, self.told):
            return
        self.rung, self.told = rung, known
        results = [self._answer(number, *told) for number in known if (told := found[number]) is not None]
        self.pending = {number: p for number, p in self.asked.items() if number not in known}
        self.state = self.joined.method.tell(self.joined.method.init(), results)

    def _answer(self, number: int, status: Status, score: float | None) -> Result:
        return answer(self.work.landscape, self.asked[number], self.configurations[number], status, score)


def search_under(
    landscape: Landscape,
    method: str,
    policy: str,
    trainings: int,
    seed: int,
    settings: Mapping[str, Any] | None = None,
    method_settings: Mapping[str, Any] | None = None,
    prior: Prior | None = None,
) -> Searched:
    """Search with ``method`` under ``policy`` until nothing is left to train.

    Args:
        landscape: The task.
        method: Name of a search method.
        policy: Name of a budget policy.
        trainings: Whole trainings granted; a part of one costs its share.
        seed: Makes the search reproducible.
        settings: Of the policy.
        method_settings: Of the method.
        prior: Draws candidates for the method.
    """
    spacing = landscape.env_steps // landscape.checkpoints
    given, defaults = dict(settings or {}), policy_settings(policy)
    if "seeds" in defaults:  # judged by tuning seeds, a landscape has one seed fewer
        given.setdefault("seeds", min(defaults["seeds"], len(landscape.tuning)))
    decides = make_policy(policy, Budget(trainings, landscape.env_steps), spacing, given)
    trials = most_trials(decides, trainings, landscape.checkpoints)
    proposes = proposer(landscape, method, trials, derive(seed, "search"), method_settings, prior)
    joined = Joined(proposes, decides, trainings * landscape.env_steps)
    search = Searched(Work(landscape, trainings), joined, proposes.init(), seed_order(landscape, seed))
    while search.step():
        pass
    return search
