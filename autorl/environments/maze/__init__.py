"""Mazes whose levels are tasks: walls, start, goal and direction as arrays, generated, edited and checked in JAX."""
