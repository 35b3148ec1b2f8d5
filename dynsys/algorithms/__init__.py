"""The discrete methods that come from the systems, as optax transformations."""

from dynsys.algorithms.energy_along import IteratesEnergy as IteratesEnergy
from dynsys.algorithms.energy_along import energy_along as energy_along
from dynsys.algorithms.inna import inna as inna
from dynsys.algorithms.inna import scale_by_inna as scale_by_inna
from dynsys.algorithms.inna_path import INNAPath as INNAPath
from dynsys.algorithms.inna_path import inna_path as inna_path
from dynsys.algorithms.inna_step import INNAState as INNAState
from dynsys.algorithms.iterate import Iterates as Iterates
from dynsys.algorithms.iterate import iterate as iterate
from dynsys.algorithms.mini_batches import MiniBatches as MiniBatches
from dynsys.algorithms.shadowing import Shadowing as Shadowing
from dynsys.algorithms.shadowing import shadowing as shadowing
