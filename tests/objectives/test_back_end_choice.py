"""The back end of a training: interpreted while short, fused when long, sooner the more graphs share a compilation."""

from __future__ import annotations

from autorl.objectives.graphs.back_end import preferred_back_end


def test_screening_is_interpreted_and_long_training_fused() -> None:
    assert [preferred_back_end(steps, 32) for steps in (2_000, 10_000)] == ["interpreter"] * 2
    assert preferred_back_end(1_000_000, 32) == "fused"


def test_the_more_graphs_share_a_compilation_the_sooner_it_pays() -> None:
    def break_even(graphs: int) -> int:
        return next(steps for steps in range(1_000, 10_000_000, 1_000) if preferred_back_end(steps, graphs) == "fused")

    assert break_even(1) > break_even(8) > break_even(64)
