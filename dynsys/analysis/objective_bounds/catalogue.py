"""Which theorem bounds the objective along which system."""

from collections.abc import Callable

from dynsys.analysis.objective_bounds.attouch_chbani_fadili_riahi import (
    attouch_chbani_fadili_riahi,
)
from dynsys.analysis.objective_bounds.avd import avd
from dynsys.analysis.objective_bounds.case import Case
from dynsys.analysis.objective_bounds.h_nag import exponential_mass, h_nag
from dynsys.analysis.objective_bounds.high_resolution import heavy_ball, nag_c, nag_sc
from dynsys.analysis.objective_bounds.isihd import isihd
from dynsys.analysis.objective_bounds.strongly_convex_din import strongly_convex_din
from dynsys.analysis.objective_bounds.tikhonov_din_avd import tikhonov_din_avd
from dynsys.analysis.report import Bound
from dynsys.systems.attouch_chbani_fadili_riahi import AttouchChbaniFadiliRiahi
from dynsys.systems.avd import AVD
from dynsys.systems.din_avd import DINAVD
from dynsys.systems.h_nag import HNAG
from dynsys.systems.high_resolution_heavy_ball import HighResolutionHeavyBall
from dynsys.systems.high_resolution_nag_c import HighResolutionNAGC
from dynsys.systems.high_resolution_nag_sc import HighResolutionNAGSC
from dynsys.systems.isihd import ISIHD
from dynsys.systems.strongly_convex_din import StronglyConvexDIN
from dynsys.systems.tikhonov_din_avd import TikhonovDINAVD
from dynsys.systems.vm_din_avd import VMDINAVD

THEOREMS: dict[type, Callable[[Case], Bound]] = {
    AVD: avd,
    DINAVD: attouch_chbani_fadili_riahi,
    AttouchChbaniFadiliRiahi: attouch_chbani_fadili_riahi,
    StronglyConvexDIN: strongly_convex_din,
    HighResolutionNAGSC: nag_sc,
    HighResolutionHeavyBall: heavy_ball,
    HighResolutionNAGC: nag_c,
    HNAG: h_nag,
    VMDINAVD: exponential_mass,
    ISIHD: isihd,
    TikhonovDINAVD: tikhonov_din_avd,
}
"""By class of the system, one theorem each."""
