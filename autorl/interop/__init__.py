"""How others use what AutoRL found: each file writes or speaks one foreign format, and imports its library lazily."""
