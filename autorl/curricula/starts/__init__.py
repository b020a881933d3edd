"""Teachers that set where episodes start: in states of the environment that were visited before."""
