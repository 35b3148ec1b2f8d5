"""The discrete methods that come from the systems, as optax transformations."""

from dynsys.algorithms.discretise import Discretisation as Discretisation
from dynsys.algorithms.discretise import discretise as discretise
from dynsys.algorithms.energy_along import IteratesEnergy as IteratesEnergy
from dynsys.algorithms.energy_along import energy_along as energy_along
from dynsys.algorithms.igahd import IGAHDState as IGAHDState
from dynsys.algorithms.igahd import igahd as igahd
from dynsys.algorithms.igahd import nesterov as nesterov
from dynsys.algorithms.igahd_energy import igahd_energy as igahd_energy
from dynsys.algorithms.inna import inna as inna
from dynsys.algorithms.inna import scale_by_inna as scale_by_inna
from dynsys.algorithms.inna_path import INNAPath as INNAPath
from dynsys.algorithms.inna_path import inna_path as inna_path
from dynsys.algorithms.inna_step import INNAState as INNAState
from dynsys.algorithms.iterate import Iterates as Iterates
from dynsys.algorithms.iterate import iterate as iterate
from dynsys.algorithms.mini_batches import MiniBatches as MiniBatches
from dynsys.algorithms.newton import newton as newton
from dynsys.algorithms.newton import scale_by_newton as scale_by_newton
from dynsys.algorithms.shadowing import Shadowing as Shadowing
from dynsys.algorithms.shadowing import shadowing as shadowing
from dynsys.algorithms.strongly_convex_igahd import (
    igahd_strongly_convex as igahd_strongly_convex,
)
