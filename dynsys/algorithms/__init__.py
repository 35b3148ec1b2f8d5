"""The discrete methods that come from the systems, as optax transformations."""

from dynsys.algorithms.inna import INNAState as INNAState
from dynsys.algorithms.inna import inna as inna
from dynsys.algorithms.inna import scale_by_inna as scale_by_inna
