"""Whether the numbers of a trajectory can be trusted."""
