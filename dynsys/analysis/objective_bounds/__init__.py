"""Proven bounds of the objective along time, one file a theorem."""

from dynsys.analysis.objective_bounds.objective_bound import (
    objective_bound as objective_bound,
)
