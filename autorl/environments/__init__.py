"""Where agents act: the protocol, the gymnax adapter, probe environments and automatic resets.

Nothing is imported here, so that listing names (`autorl.environments.registry`) stays free of jax and gymnax.
"""
