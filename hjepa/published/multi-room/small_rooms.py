"""MiniGrid's own rooms behind doors in 11 x 11 cells: where eyes learn what a door is, at a fifth of the cost.

In a folder that Python looks in, ``small_rooms:SmallRooms-v0`` names it.
"""

import gymnasium

gymnasium.register(
    "SmallRooms-v0",
    "minigrid.envs:MultiRoomEnv",
    kwargs={"minNumRooms": 2, "maxNumRooms": 3, "maxRoomSize": 5, "width": 11, "height": 11, "max_steps": 60},
)
