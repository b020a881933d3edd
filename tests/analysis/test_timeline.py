"""When the parts of a search under a policy ended: by hand, and against a search that is carried out step by step."""

import itertools
from dataclasses import replace

import cut_study as cs
import numpy as np
import pytest

from autorl.analysis import compare_page, figures
from autorl.analysis.anytime import anytime_figure, best_so_far
from autorl.analysis.report import render
from autorl.analysis.timeline import ended_at, timeline, timing_caption
from autorl.analysis.work import granted
from autorl.keys import generator
from autorl.outer.budget.policies import POLICIES, make_policy
from autorl.outer.budget.protocol import Run
from autorl.outer.protocol import Budget, Status

POINTS = 4
FOUR = {"points": POINTS, "averaged": 1}


def ended(trials, specification):
    return ended_at(trials, specification, timeline(trials, specification))


def halving(**search):
    """Eight trials start; rungs are 1, 2 and 4 of 4 checkpoints, 25 steps each."""
    return {**cs.specification(**search), "budget": {"trainings": 4, "env_steps": cs.STEPS}, "evaluation": FOUR}


def eight(*, lucky=()):
    """Eight trials: the higher the number the better; 6 and 7 are trained to the end, where ``lucky`` gives them their last scores."""
    lengths = [1, 1, 1, 1, 2, 2, 4, 4]
    curves = [[float(i)] * length for i, length in enumerate(lengths)]
    for number, last in lucky:
        curves[number][-1] = last
    return [cs.trial(i, curve, points=POINTS) for i, curve in enumerate(curves)]


def test_a_score_counts_when_a_whole_training_ended_not_when_its_trial_began():
    found = timeline(eight(), halving())
    assert found.exact
    assert [(m.work, len(m.parts)) for m in found.moments] == [(200, 8), (300, 4), (400, 2)]
    trials = [*eight()[::-1]]  # in whatever order they come
    curve = best_so_far(trials, halving())
    assert (curve.work.tolist(), curve.score.tolist()) == ([400], [7.0])
    assert ended(trials, halving()) == {0: 200, 1: 200, 2: 200, 3: 200, 4: 300, 5: 300, 6: 400, 7: 400}


def test_orders_are_carried_out_in_batches():
    found = timeline(eight(), halving(batch=3))
    assert [(m.work, [p.trial for p in m.parts]) for m in found.moments] == [
        (75, [0, 1, 2]), (150, [3, 4, 5]), (200, [6, 7]),  # the first rung
        (275, [7, 6, 5]), (300, [4]), (400, [7, 6]),  # the better come first
    ]  # fmt: skip


def test_further_seeds_make_a_mean_that_can_fall():
    # no race in halving: the record is of another order, and all counts as late as it may
    trials = [cs.trial(0, [9.0] * 5, [1.0] * 5, [2.0] * 5), cs.trial(1, [6.0] * 5, [None] * 5), cs.trial(2, [3.0])]
    found = timeline(trials, cs.specification())
    assert not found.exact
    assert [m.work for m in found.moments] == [220, 420, 520]
    curve = best_so_far(trials, cs.specification())
    assert curve.work.tolist() == [220, 420, 520]
    # a further seed that failed is the worst score of all
    assert curve.score.tolist() == [9.0, 5.0, 4.0]
    said = timing_caption(timeline(trials, cs.specification()))
    assert "does not tell the order" in said
    assert "late rather than early" in said


def test_trials_of_an_earlier_study_or_of_another_tool_are_of_no_known_order():
    taken = halving(warm_start={"study": "earlier", "taken": {"trials": 3}})
    assert not timeline(eight(), taken).exact
    told = [replace(cs.trial(0), score=8.0, status=Status.COMPLETED, env_steps=cs.STEPS), *eight()[1:]]
    curve = best_so_far(told, taken)
    assert curve.score.tolist() == [8.0]
    assert timeline([], halving()) is None
    assert best_so_far([], halving()) is None


def test_a_search_under_way_has_the_beginning_of_its_timeline():
    going = [replace(t, status=Status.RUNNING, score=None) if t.number > 3 else t for t in eight()]
    going[6:] = [
        replace(t, env_steps=50, curves=cs.trial(6, [float(t.number)] * 2, points=POINTS).curves) for t in going[6:]
    ]
    found = timeline(going, halving())
    assert found.exact
    assert [m.work for m in found.moments] == [200, 300]
    assert best_so_far(going, halving()) is None
    assert sorted(ended(going, halving())) == [0, 1, 2, 3], "of those that have ended"


def test_without_a_policy_and_in_random_search_trials_run_one_after_the_other():
    plain = {**halving(), "search": {"method": "random"}}
    trials = [replace(t, env_steps=100, status=Status.COMPLETED, score=float(-t.number)) for t in eight()]
    assert ended(trials, plain) == {i: 100 * (i + 1) for i in range(8)}
    assert best_so_far(trials, plain).work.tolist() == [100 * (i + 1) for i in range(8)]
    beside = [replace(t, arm="random") for t in trials]
    assert ended(beside, halving()) == {i: 100 * (i + 1) for i in range(8)}
    assert timing_caption(timeline(trials, plain)) == ""


def carried_out(policy_name, trainings, score, fails=()):
    """Trials of a search under a policy as the engine carries it out, 3 orders at once, and the work at which each part ended."""
    policy = make_policy(policy_name, Budget(trainings, 10), 1)
    runs, ends, work = {}, {}, 0

    def all_runs():
        return tuple(runs[key] for key in sorted(runs))

    for _ in range(10_000):
        stopped = [n for n in policy.stops(all_runs()) if runs[n, 0].env_steps < 10]
        for n in stopped:
            runs[n, 0] = replace(runs[n, 0], ended=True)
        if stopped:
            continue
        batch = []
        for order in policy.orders(all_runs(), 3):
            start = runs[order.trial, order.seed].env_steps if (order.trial, order.seed) in runs else 0
            if work + order.env_steps - start > 10 * trainings:
                break
            work += order.env_steps - start
            batch.append(order)
        if not batch:
            break
        for order in batch:
            key, failed = (order.trial, order.seed), (order.trial, order.seed, order.env_steps) in fails
            known = range(1, order.env_steps + (not failed))
            runs[key] = Run(order.trial, order.env_steps, tuple((i, score(*key, i)) for i in known), order.seed, failed)
            ends[(*key, order.env_steps)] = work * 10
    return runs, ends


def recorded(runs):
    """The trials that the record keeps of them."""
    made = []
    for number, own in itertools.groupby((runs[key] for key in sorted(runs)), key=lambda run: run.trial):
        listed = list(own)
        first = listed[0]
        failed = first.ended and len(first.scores) < first.env_steps
        blocks = [[s for _, s in r.scores] + [None] * (r.env_steps - len(r.scores)) for r in listed]
        made.append(cs.trial(number, *blocks, status=Status.DIVERGED if failed else None, points=10))
    worst = min(s for t in made for row in t.scores for s in row if s is not None)
    for i, trial in enumerate(made):
        if trial.status is Status.COMPLETED:  # a further seed that failed counts as the worst score of all
            flat = [worst if s is None else s for s in trial.scores[0]]
            made[i] = replace(trial, score=sum(flat) / len(flat))
    return made


@pytest.mark.parametrize("name", sorted(POLICIES))
@pytest.mark.parametrize("fails", [(), ((1, 0, 2), (4, 0, 1), (0, 1, 10), (2, 0, 10))])
def test_every_policys_order_is_found_again(name, fails):
    def score(trial, seed, checkpoint):
        return float(generator((trial, seed, checkpoint).__hash__() % 2**31).normal()) + 0.3 * trial * checkpoint

    runs, ends = carried_out(name, 24, score, fails)
    trials = recorded(runs)
    given = {
        **cs.specification(policy={"name": name, "settings": {}}, batch=3),
        "budget": {"trainings": 24, "env_steps": cs.STEPS},
        "evaluation": {"points": 10, "averaged": 1},
    }
    found = timeline(trials, given)
    assert found.exact
    assert {(p.trial, p.seed, p.end): m.work for m in found.moments for p in m.parts} == ends
    assert found.moments[-1].work == granted(trials, given)
    curve = best_so_far(trials, given)
    assert curve.score[-1] == pytest.approx(max(t.score for t in trials if t.score is not None))
    assert (np.diff(curve.work) > 0).all()


def test_the_figures_place_scores_where_they_were_known_and_say_so():
    trials = eight(lucky=[(6, 1.0)])
    (axis,) = figures.optimisation_history(trials, halving()).axes
    lines = {drawn.get_label(): drawn for drawn in axis.get_lines()}
    best = lines["random + halving: best so far"]
    assert (best.get_xdata().tolist(), best.get_ydata().tolist()) == ([400], [7.0])
    assert sorted(lines["stopped on the way (6)"].get_xdata()) == [200] * 4 + [300] * 2
    dots = next(drawn for drawn in axis.get_lines() if len(drawn.get_xdata()) == 2)
    assert sorted(zip(dots.get_xdata(), dots.get_ydata(), strict=True)) == [(400, 3.5), (400, 7.0)]
    (axis,) = anytime_figure(trials, halving()).axes
    assert axis.get_lines()[0].get_xdata().tolist() == [400]
    said = "a score counts once a whole training ended"
    assert render(trials, halving(), {}, cs.SPACE).count(said) == 2
    orders = [timeline(trials, halving()), timeline(trials, {"search": {"method": "tpe"}})]
    assert said in compare_page._timing(orders)
    assert compare_page._timing(orders[1:]) == ""
