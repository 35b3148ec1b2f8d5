"""Where a loss is not differentiable: its kinks, found in its own program."""

from dynsys.nonsmooth.flat import NotPiecewiseSmooth as NotPiecewiseSmooth
from dynsys.nonsmooth.kinks import Kinks as Kinks
from dynsys.nonsmooth.kinks import kinks as kinks
