"""What is kept: the specification of a study, its record, checkpoints and manifest.

Everything here is data and bookkeeping; nothing here trains, and importing it loads no jax, torch or optuna. Only reading a
specification with its references checked imports the learner and the environments that it names.
"""
