"""Budget policies: which trials train on, and how far, given the scores so far. One file for each policy.

A policy never proposes a candidate and a search method never cuts one, so any of one goes with any of the other: see
`autorl.outer.budget.protocol`. `autorl.outer.budget.policies` lists them by name.
"""
