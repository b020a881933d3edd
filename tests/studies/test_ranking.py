from autorl.outer.protocol import Status
from autorl.studies.ranking import own_score, places
from autorl.studies.trial import AT_HURDLE, Trial


def trial(env_steps, status, score=None):
    values = {AT_HURDLE: score} if status is Status.PRUNED and score is not None else {}
    own = score if status is Status.COMPLETED else None
    return Trial("method", "search", 0, {}, env_steps, status=status, score=own, values=values)


def test_further_comes_first_then_the_score_and_failures_last():
    pruned, completed = Status.PRUNED, Status.COMPLETED
    trials = [
        trial(20, pruned, 500.0),
        trial(100, completed, -3.0),
        trial(40, pruned, 1.0),
        trial(40, pruned, 2.0),
        trial(100, Status.DIVERGED),
        trial(20, pruned, 500.0),
        trial(20, pruned),
    ]
    assert places(trials) == [1.0, 4.0, 2.0, 3.0, 0.0, 1.0, 0.0]
    assert places([]) == []
    assert [own_score(t) for t in trials] == [500.0, -3.0, 1.0, 2.0, None, 500.0, None]
