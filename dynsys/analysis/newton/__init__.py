"""Distances to Newton-like flows, and who is faster than Newton."""
