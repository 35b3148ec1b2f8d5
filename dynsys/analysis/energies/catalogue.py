"""Which energies belong to which system."""

from collections.abc import Callable
from typing import Any

from dynsys.analysis.energies import (
    damped_newton,
    gradient_flow,
    high_resolution,
    inertial_newton,
)
from dynsys.analysis.energies.attouch_chbani_fadili_riahi import (
    attouch_chbani_fadili_riahi,
)
from dynsys.analysis.energies.avd import su_boyd_candes
from dynsys.analysis.energies.energy import Energy
from dynsys.analysis.energies.gdin import gdin
from dynsys.analysis.energies.h_nag import h_nag
from dynsys.analysis.energies.isihd import isihd
from dynsys.analysis.energies.strongly_convex_din import strongly_convex_din
from dynsys.analysis.energies.tikhonov_din_avd import tikhonov_din_avd
from dynsys.systems.attouch_chbani_fadili_riahi import AttouchChbaniFadiliRiahi
from dynsys.systems.avd import AVD
from dynsys.systems.continuous_newton import ContinuousNewton
from dynsys.systems.din_avd import DINAVD
from dynsys.systems.gdin import GDIN
from dynsys.systems.gradient_flow import GradientFlow
from dynsys.systems.h_nag import HNAG
from dynsys.systems.high_resolution_heavy_ball import HighResolutionHeavyBall
from dynsys.systems.high_resolution_nag_c import HighResolutionNAGC
from dynsys.systems.high_resolution_nag_sc import HighResolutionNAGSC
from dynsys.systems.inertial_newton import AbstractInertialNewton
from dynsys.systems.isihd import ISIHD
from dynsys.systems.levenberg_marquardt import LevenbergMarquardt
from dynsys.systems.strongly_convex_din import StronglyConvexDIN
from dynsys.systems.system import AbstractSystem
from dynsys.systems.tikhonov_din_avd import TikhonovDINAVD

EnergyOf = Callable[[Any], Energy]
"""An energy as a function of the system."""

ENERGIES: dict[type, tuple[EnergyOf, ...]] = {
    GradientFlow: (gradient_flow.objective,),
    ContinuousNewton: (damped_newton.gradient_norm, damped_newton.objective),
    LevenbergMarquardt: (damped_newton.objective,),
    GDIN: (gdin,),
    AVD: (su_boyd_candes,),
    DINAVD: (attouch_chbani_fadili_riahi,),
    AttouchChbaniFadiliRiahi: (attouch_chbani_fadili_riahi,),
    StronglyConvexDIN: (strongly_convex_din,),
    HighResolutionNAGSC: (high_resolution.nag_sc,),
    HighResolutionHeavyBall: (high_resolution.heavy_ball,),
    HighResolutionNAGC: (high_resolution.nag_c,),
    HNAG: (h_nag,),
    ISIHD: (isihd,),
    TikhonovDINAVD: (tikhonov_din_avd,),
    AbstractInertialNewton: (inertial_newton.momentum, inertial_newton.mechanical),
}
"""By class of the system: a system has the energies of its class, and of those above it."""


def energies_of(system: AbstractSystem) -> dict[str, EnergyOf]:
    """The energies that are known of a system, by name, the most particular first.

    Args:
        system: The system.

    Raises:
        ValueError: None is known.

    Example:
        >>> import dynsys as ds
        >>> list(energies_of(ds.DIN(lambda x: x**2, 1.0, 0.1)))
        ['momentum', 'mechanical']
    """
    known = [make for kind in type(system).__mro__ for make in ENERGIES.get(kind, ())]
    if not known:
        raise ValueError(
            f"No energy of {type(system).__name__} is known. Pass one as `which`, a "
            f"function from the system to a `dynsys.analysis.Energy`."
        )
    return {make(system).name: make for make in known}
