"""Curricula for one student of the classroom: copies learn as students do, all is on the ledger, elders hand on what they did."""

from __future__ import annotations

from typing import Any

import _classroom_arms as arms
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.curricula import classroom_toy
from autorl.curricula.mixtures import Mixture

CELLS = 3


def pupil(number: int = 4) -> arms.Pupil:
    return arms.Pupil((number % CELLS, number // CELLS), np.zeros((CELLS, CELLS), int))


def test_a_pupil_learns_as_a_student_of_the_classroom() -> None:
    students = classroom_toy.first_cube_students(CELLS)
    number = 5
    student = jax.tree.map(lambda x: jnp.asarray(x)[number], students)
    competence, own = classroom_toy.init(CELLS), pupil(number)
    played = jax.jit(classroom_toy.play)
    for cell in (2, 7, 5, 8, 4, 7, 7):  # its first cell is (2, 1), number 7
        centre = (np.array(divmod(cell, CELLS)) + 0.5) / CELLS
        competence, _ = played(student, competence, jnp.tile(jnp.asarray(centre, jnp.float32), (76, 1)))
        own = own.lesson(cell, 76)
        assert own.competence.tolist() == np.asarray(competence).tolist()
    assert own.spent == 7 * 76
    assert own.mastered == pytest.approx(100 * 3 / 9), "cells 7, 8 and 4; 2 and 5 had no neighbour yet"
    assert own.lesson(5, 76).mastered == pytest.approx(100 * 4 / 9)


def test_plans_are_paid_for_unless_copies_are_free() -> None:
    settings = {"lesson": 76, "population": 4, "horizon": 1, "generations": 2}
    # a commitment takes 8 lessons of 76 episodes and as many tests of 9, and its own lesson
    fewest = 8 * (76 + 9) + 76
    assert arms.planned(pupil(), settings, fewest - 1, 0).spent == 0
    once = arms.planned(pupil(), settings, fewest, 0)
    assert once.spent == fewest
    paid = arms.planned(pupil(), settings, 3000, 0)
    free = arms.planned(pupil(), {**settings, "free": True}, 3000, 0)
    assert paid.spent == free.spent == 3000
    assert free.mastered > paid.mastered
    assert arms.planned(pupil(), settings, 3000, 0).competence.tolist() == paid.competence.tolist()


class Recorded:
    """A lesson of two students that is played without learning anything."""

    def __init__(self, episodes: int) -> None:
        mixture = jax.tree.map(lambda x: np.stack([np.asarray(x)] * 2), Mixture.empty(3, 3))
        means = mixture.means.copy()
        means[0, 0], means[1, 0] = (0.2, 0.2, 0.5), (0.8, 0.8, 0.5)
        exists = np.array([[True, False, False]] * 2)
        known = type("Known", (), {"mixture": mixture._replace(means=means, exists=exists)})()
        self.state = (known, None, np.full((2, episodes, 2), 0.5), np.zeros((2, episodes)))
        self.played: list[int] = []
        self.given: list[dict[str, Any]] = []

    def play(self, last: int) -> None:
        self.played.append(last)

    def set(self, values: list[dict[str, Any]]) -> None:
        self.given = values

    @property
    def skills(self) -> np.ndarray:
        """One is good at the first of nine tasks, the other at the last."""
        return self.played[-1] * np.eye(9)[[0, 8]]


def test_a_student_gets_the_curriculum_of_the_elder_who_is_alike() -> None:
    before = Recorded(1000)
    elders = arms.Elders.of([before], [2], 100, 1000)
    assert before.played == [100, 250, 500, 750, 1000], "in order, so that each fit is seen"
    assert elders.vectors.tolist() == (100 * np.eye(9)[[0, 8]]).tolist()
    assert elders.scores.tolist() == [1000, 1000]
    assert [len(one.thresholds) for one in elders.experts] == [4, 4]
    one_only = arms.Elders(elders.experts[1:], elders.vectors[1:], elders.scores[1:])
    pupils = Recorded(1000)
    arms.handed_on(pupils, one_only, {"pretrain": 100}, 1000)
    assert pupils.played == [100, 991], "the test of nine tasks is on the ledger"
    assert [values["means"][0, 0].tolist() for values in pupils.given] == [pytest.approx([0.8, 0.8])] * 2
    empty, known = arms.room(1000), elders.experts[0].parameters()
    assert empty.keys() == known.keys()
    assert empty["means"].shape == (known["stages"], 10, 2)
    assert empty["roots"].shape == (known["stages"], 10, 2, 2)
