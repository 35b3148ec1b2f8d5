"""Many members of one program side by side, each in a lane of its own."""

from dynsys.lanes.side_by_side import side_by_side as side_by_side
