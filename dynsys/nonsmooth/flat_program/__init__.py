"""The program of a loss, opened wherever it switches."""
