"""Search spaces and trials of other tools, as space files of ours."""
