"""How the point moves: the systems of the talk and of its references."""

from dynsys.systems.attouch_chbani_fadili_riahi import (
    AttouchChbaniFadiliRiahi as AttouchChbaniFadiliRiahi,
)
from dynsys.systems.avd import AVD as AVD
from dynsys.systems.continuous_newton import ContinuousNewton as ContinuousNewton
from dynsys.systems.din import DIN as DIN
from dynsys.systems.din_avd import DINAVD as DINAVD
from dynsys.systems.gdin import GDIN as GDIN
from dynsys.systems.gdin import GDINState as GDINState
from dynsys.systems.gradient_flow import GradientFlow as GradientFlow
from dynsys.systems.gradient_flow import PositionState as PositionState
from dynsys.systems.h_nag import HNAG as HNAG
from dynsys.systems.heavy_ball import HeavyBall as HeavyBall
from dynsys.systems.high_resolution_heavy_ball import (
    HighResolutionHeavyBall as HighResolutionHeavyBall,
)
from dynsys.systems.high_resolution_nag_c import HighResolutionNAGC as HighResolutionNAGC
from dynsys.systems.high_resolution_nag_sc import (
    HighResolutionNAGSC as HighResolutionNAGSC,
)
from dynsys.systems.inertial_newton import InertialNewton as InertialNewton
from dynsys.systems.inertial_newton import MomentumState as MomentumState
from dynsys.systems.inertial_newton import VelocityState as VelocityState
from dynsys.systems.isihd import ISIHD as ISIHD
from dynsys.systems.levenberg_marquardt import (
    LevenbergMarquardt as LevenbergMarquardt,
)
from dynsys.systems.strongly_convex_din import StronglyConvexDIN as StronglyConvexDIN
from dynsys.systems.system import AbstractSystem as AbstractSystem
from dynsys.systems.tikhonov_din_avd import TikhonovDINAVD as TikhonovDINAVD
from dynsys.systems.vm_din_avd import VMDINAVD as VMDINAVD
