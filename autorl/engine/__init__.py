"""How the outer loop drives the inner one: static groups, lanes, segments, devices, and the phases of a study."""
