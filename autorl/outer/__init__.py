"""Outer loops: who proposes the next candidate. One file for each search method, all behind `autorl.outer.protocol`.

`autorl.outer.methods` lists them by name and refuses what does not fit. A method sees candidates and scores only, never an
environment; its state is a pure function of the study's seed and the results told so far.
"""
