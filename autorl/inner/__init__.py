"""The inner loop: how an agent learns. One file for each algorithm, and the parts that they share.

Importing this package imports nothing heavy; algorithms are reached by name through `autorl.inner.algorithms`.
"""
