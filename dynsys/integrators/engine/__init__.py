"""The loop over the steps of a run, what is kept of them, and their derivative."""
