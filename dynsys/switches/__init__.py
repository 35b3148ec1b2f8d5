"""Where coefficients switch in time, read from their programs."""

from dynsys.switches.times import SwitchTimes as SwitchTimes
from dynsys.switches.times import at_ends_of_steps as at_ends_of_steps
from dynsys.switches.times import switch_times as switch_times
from dynsys.switches.window import in_window as in_window
