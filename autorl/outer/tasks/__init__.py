"""Outer loops over tasks: on which task to train the next policy, when each policy is then tried on all of them."""
