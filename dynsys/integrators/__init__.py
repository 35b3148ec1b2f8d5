"""Stepping in time. The only place that knows diffrax."""

from dynsys.integrators.newton_path import newton_path as newton_path
from dynsys.integrators.simulate import simulate as simulate
from dynsys.integrators.solvers.low_storage import LowStorageRK4 as LowStorageRK4
from dynsys.integrators.solvers.rodas5p import Rodas5P as Rodas5P
