"""A search under a budget policy: trials train from rung to rung, each from its own trained state, as the policy orders.

Everything is decided from the record: the policy sees its curves, the method what it was told, in the order of telling. A batch of orders
is a pure function of both, and the record learns of it in one transaction, so a study that was killed anywhere orders the same again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autorl.engine.lanes import Job, Outcome
from autorl.engine.merit import by_merit, runs_of
from autorl.engine.methods import policy_of, result_of, trial_of
from autorl.engine.paused import PausedStore
from autorl.engine.progress import Meter
from autorl.engine.rung_trials import advanced, block_of, completed, jobs_between, pruned
from autorl.engine.session import Session
from autorl.engine.trials import recorded, run_jobs
from autorl.errors import StudyError
from autorl.outer.budget.joined import WIDTH, Joined
from autorl.outer.budget.protocol import Order, Run
from autorl.outer.protocol import Proposal, Status
from autorl.studies.trial import Arm, Trial

Trials = dict[int, Trial]


def run_under_policy(session: Session, arm: Arm, phase_name: str) -> list[Trial]:
    """Run (or go on with) the search of an arm whose trials a policy cuts; return all its trials."""
    over = f"search-over/{arm}"
    if not session.record.meta(over, False):
        search = _search(session, arm, phase_name)
        while search.step():
            session.stopper.check()
        search.note()
        session.record.set_meta(over, True)
        search.meter.over()
    trials = session.record.trials(arm, "search")
    going = [t for t in trials if t.status is Status.RUNNING]
    if going:
        whole = session.specification.budget.env_steps
        ended = [completed(t, trials) if t.env_steps == whole else pruned(session, t) for t in going]
        session.record.advance(ended)
    return session.record.trials(arm, "search")


def _search(session: Session, arm: Arm, phase_name: str) -> _Search:
    policy, specification = policy_of(session.specification), session.specification
    assert policy is not None
    budget = specification.budget
    joined = Joined(session.method(arm), policy, budget.trainings * specification.evaluation.points)
    work = budget.trainings * session.steps(session.acts_in("search")) * specification.seeds.search
    meter = Meter(phase_name, policy.starts or budget.trainings, work, session.report)
    begun = [t for t in session.record.trials(arm, "search") if t.scores]
    search = _Search(session, arm, joined, PausedStore(session, arm), meter)
    if begun:
        meter.already(len(begun), 0, sum(t.ledger.train_env_steps for t in begun), None)
        search.show({t.number: t for t in begun})
    else:
        meter.show("compiling")
    return search


@dataclass
class _Search:
    """A search under way. It keeps nothing between two steps but what the record holds as well."""

    session: Session
    arm: Arm
    joined: Joined
    store: PausedStore
    meter: Meter

    def step(self) -> bool:
        """Stop what is to be stopped, or else carry out the next orders; return whether there was anything to do."""
        trials = {t.number: t for t in self.session.record.trials(self.arm, "search")}
        runs = {(run.trial, run.seed): run for t in trials.values() for run in runs_of(self.session.specification, t)}
        whole = self.joined.policy.rungs[-1]  # what is there already, of an earlier study, cannot be stopped any more
        stopped = [n for n in self.joined.policy.stops(tuple(runs.values())) if runs[n, 0].env_steps < whole]
        if stopped:
            self._keep(trials, [pruned(self.session, trials[number]) for number in stopped])
            return True
        known = {run.trial for run in runs.values()}
        search = self.session.specification.search
        width = (search.batch if search is not None else None) or WIDTH
        due = self.joined.due(self._state(trials), tuple(runs.values()), self._pending(trials, known), width)
        if not due.orders:
            return False
        trials |= self._started({n: t for n, t in trials.items() if n not in known}, due.proposals)
        new: Trials = {}
        for order, outcomes in zip(due.orders, self._train(trials, runs, due.orders), strict=True):
            new[order.trial] = advanced(self.session, new.get(order.trial, trials[order.trial]), order, outcomes)
        if not known and all(t.status is Status.CRASHED for t in new.values()):
            raise StudyError(f"every trial of the first batch crashed, so nothing was recorded: {new[0].message}")
        self._keep(trials, list(new.values()))
        self.show(trials | new)
        return True

    def show(self, trials: Trials) -> None:
        """Report how the search stands."""
        specification, begun = self.session.specification, [t for t in trials.values() if t.scores]
        going = (Status.RUNNING, Status.PRUNED, Status.COMPLETED)
        able = by_merit(specification, begun)
        best = max((t.score for t in able if t.score is not None), default=None)
        reached = max((t.env_steps for t in able), default=0) / specification.budget.env_steps
        self.meter.stands(len(begun), sum(t.status not in going for t in begun), best, reached)

    def note(self) -> None:
        """Keep what the method counted, for the report."""
        trials = {t.number: t for t in self.session.record.trials(self.arm, "search")}
        self.session.note_statistics(self.arm, self.joined.method, self._state(trials))

    def _state(self, trials: Trials) -> Any:
        """Return the state of the method, told what it was told."""
        space, method = self.session.space, self.joined.method
        assert space is not None
        results, rung = [], self._rung(trials)
        for trial in sorted((t for t in trials.values() if t.told is not None), key=lambda t: t.told or 0):
            told = self._told(trial, rung)
            assert told is not None
            results.append(replace(result_of(trial, space), status=told[0], score=told[1]))
        return method.tell(method.init(), results) if results else method.init()

    def _rung(self, trials: Trials) -> int:
        """Return the rung at which the method is told of trials, as things stand."""
        return self.joined.policy.comparable(
            [run for t in trials.values() for run in runs_of(self.session.specification, t)]
        )

    def _told(self, trial: Trial, rung: int) -> tuple[Status, float | None] | None:
        """Return what there is to tell of a trial; see `Joined.told`."""
        failed = None if trial.status in (Status.RUNNING, Status.COMPLETED, Status.PRUNED) else trial.status
        return self.joined.told(runs_of(self.session.specification, trial)[0], rung, failed)

    def _pending(self, trials: Trials, known: set[int]) -> list[Proposal]:
        space = self.session.space
        assert space is not None
        return [result_of(t, space).proposal for n, t in trials.items() if n in known and t.told is None]

    def _started(self, held: Trials, proposals: Sequence[Proposal]) -> Trials:
        """Write the trials of ``proposals`` down, or return them as a run that was killed left them."""
        space = self.session.space
        assert space is not None
        if not proposals and not held:
            return {}
        asked = [trial_of(p, space, self.arm, self.session.seeds("search", p.repeat)) for p in proposals]
        return {t.number: t for t in recorded(self.session, held, asked)}

    def _train(
        self, trials: Trials, runs: Mapping[tuple[int, int], Run], orders: Sequence[Order]
    ) -> list[list[Outcome]]:
        """Carry the orders out, those apart that were carried out before a kill; return the outcomes of each."""
        whole = self.joined.policy.rungs[-1]
        parts = [block_of(self.session, trials[o.trial], o.seed) for o in orders]
        self.session.in_company(parts)
        jobs: list[list[Job]] = []
        made: dict[int, list[Outcome]] = {}
        for i, (order, part) in enumerate(zip(orders, parts, strict=True)):
            run = runs.get((order.trial, order.seed))
            start = 0 if run is None else run.env_steps
            jobs.append(jobs_between(self.session, part, start, order.env_steps))
            held = self.store.outcomes(order.trial, order.seed, order.env_steps, jobs[i])
            if held is not None:
                made[i] = held
            elif start:
                states = self.store.states(order.trial, order.seed, start, jobs[i])
                jobs[i] = [replace(job, parent_state=state) for job, state in zip(jobs[i], states, strict=True)]
        rest = [i for i in range(len(orders)) if i not in made]

        def done(ended: Mapping[int, Sequence[Outcome]]) -> None:
            for place, outcomes in ended.items():
                order = orders[rest[place]]
                paused = order.env_steps < whole
                if order.seed == 0:
                    self.session.note_lessons(trials[order.trial], outcomes)
                self.store.save(order.trial, order.seed, order.env_steps, jobs[rest[place]], outcomes, states=paused)
                for outcome in outcomes:
                    outcome.state = None  # on the disk now

        found = run_jobs(
            self.session, f"{self.arm}/search", [jobs[i] for i in rest], self.meter, keep_states=True, done=done
        )
        made |= dict(zip(rest, found, strict=True))
        return [made[i] for i in range(len(orders))]

    def _keep(self, trials: Trials, changed: Sequence[Trial]) -> None:
        """Store the trials that changed, and tell of those that there is something to tell of now."""
        now = trials | {t.number: t for t in changed}
        rung = self._rung(now)
        tell = [(t.arm, t.phase, t.number) for t in changed if t.told is None and self._told(t, rung) is not None]
        self.session.record.advance(changed, sorted(tell))
        runs = [
            run for t in now.values() if t.status is Status.RUNNING for run in runs_of(self.session.specification, t)
        ]
        whole = self.joined.policy.rungs[-1]
        self.store.prune([run for run in runs if not run.ended and run.env_steps < whole])
