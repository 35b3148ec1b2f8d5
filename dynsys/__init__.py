"""Simulate the ODEs and inclusions behind inertial Newton-like optimisation methods.

Importing this package switches JAX to 64 bit, unless the environment variable
`JAX_ENABLE_X64` is set.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

import jax

if "JAX_ENABLE_X64" not in os.environ:
    jax.config.update("jax_enable_x64", True)

from dynsys import analysis as analysis
from dynsys import integrators as integrators
from dynsys import nonsmooth as nonsmooth
from dynsys import objectives as objectives
from dynsys import schedules as schedules
from dynsys import systems as systems
from dynsys.integrators.ensemble import Chunk as Chunk
from dynsys.integrators.ensemble import SimulationWarning as SimulationWarning
from dynsys.integrators.ensemble import simulate_ensemble as simulate_ensemble
from dynsys.integrators.simulate import simulate as simulate
from dynsys.result import SimulationError as SimulationError
from dynsys.systems import AVD as AVD
from dynsys.systems import DIN as DIN
from dynsys.systems import DINAVD as DINAVD
from dynsys.systems import GDIN as GDIN
from dynsys.systems import VMDINAVD as VMDINAVD
from dynsys.systems import ContinuousNewton as ContinuousNewton
from dynsys.systems import GradientFlow as GradientFlow
from dynsys.systems import HeavyBall as HeavyBall
from dynsys.systems import InertialNewton as InertialNewton
from dynsys.systems import LevenbergMarquardt as LevenbergMarquardt
from dynsys.trajectory import Trajectory as Trajectory

if TYPE_CHECKING:
    from dynsys import algorithms as algorithms
    from dynsys import plots as plots
    from dynsys.algorithms.inna import inna as inna

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what needs matplotlib or optax when it is first used."""
    if name in ("algorithms", "plots"):
        return importlib.import_module(f"dynsys.{name}")
    if name == "inna":
        return importlib.import_module("dynsys.algorithms").inna
    raise AttributeError(f"module 'dynsys' has no attribute {name!r}")
