"""Many trajectories at once, on all cores, devices and processes."""

from dynsys.integrators.ensemble.run import Chunk as Chunk
from dynsys.integrators.ensemble.run import SimulationWarning as SimulationWarning
from dynsys.integrators.ensemble.simulate_ensemble import (
    simulate_ensemble as simulate_ensemble,
)
