"""Where a loss is not differentiable: its kinks, and the sets of gradients there."""

from dynsys.nonsmooth.flat_program.flatten import NotPiecewiseSmooth as NotPiecewiseSmooth
from dynsys.nonsmooth.kinks import Kinks as Kinks
from dynsys.nonsmooth.kinks import kinks as kinks
from dynsys.nonsmooth.sets import GradientSet as GradientSet
from dynsys.nonsmooth.subdifferential import (
    clarke_subdifferential as clarke_subdifferential,
)
from dynsys.nonsmooth.subdifferential import d_operator as d_operator
