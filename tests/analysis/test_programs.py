"""The report says how many programs a study compiled, and why."""

import synthetic as sy

from autorl.analysis.programs import programs_sentence
from autorl.analysis.report import render

NAMES = ("gymnax:CartPole-v1", "gymnax:Acrobot-v1")


def entry(environment=0, lanes=32, form=0, seconds=4.0, **static):
    return {"environment": environment, "lanes": lanes, "form": form, "seconds": seconds, "static": static}


def test_one_program_is_said_to_serve_all():
    assert programs_sentence([], NAMES) == ""
    said = programs_sentence([entry(n_envs=8, activation="tanh")], NAMES)
    assert said == "1 compiled program, 4.0 s of compiling: everything that was searched is data of it."


def test_what_differs_is_why():
    several = [entry(n_envs=8, minibatch_size=n, activation=a) for n in (512, 64, 128) for a in ("tanh", "relu")]
    assert programs_sentence(several, NAMES) == (
        "6 compiled programs, 24.0 s of compiling. They differ in minibatch_size (64, 128, 512); activation (tanh, relu). "
        "Each value compiles its own; all else is data."
    )
    others = [entry(), entry(environment=1), entry(lanes=64), entry(form=1)]
    said = programs_sentence(others, NAMES)
    assert "4 compiled programs" in said
    for reason in (", ".join(NAMES), "the form of the objective (2 forms)", "run side by side (32, 64)"):
        assert reason in said
    many = [entry(n_steps=n) for n in range(20)]
    assert "n_steps (20 values)" in programs_sentence(many, NAMES)


def test_what_a_resumed_study_compiles_again_is_counted_once():
    said = programs_sentence([entry(n_envs=8), entry(n_envs=4), entry(n_envs=8, seconds=0.5)], NAMES)
    assert said.startswith(
        "2 compiled programs (1 time again after a resume), 8.5 s of compiling. They differ in n_envs (4, 8)"
    )


def test_the_report_prints_it():
    trials = sy.search(count=3)
    compiled = [entry(minibatch_size=64), entry(minibatch_size=128)]
    text = render(trials, sy.specification(), sy.MANIFEST, sy.SPACE, compiled=compiled)
    assert "2 compiled programs, 8.0 s of compiling. They differ in minibatch_size (64, 128)." in text
    assert "compiled program" not in render(trials, sy.specification(), sy.MANIFEST, sy.SPACE)
