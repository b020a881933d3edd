"""The grid worlds of Learned Policy Gradient: an agent, a few kinds of objects, and a distribution over such worlds."""
