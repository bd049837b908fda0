"""Two rooms of 65 x 65 pixels with one door: a world of my own, from pictures, with continuous actions."""

import gymnasium
import numpy as np
from gymnasium import spaces

SIDE, WALL, DOOR = 65, 32, 20  # pixels a side, the wall's middle along x, the door's along y
HALF_WALL, HALF_DOOR, RADIUS, SPEED, NEAR = 1, 4, 2, 2.45, 4.5


class TwoRooms(gymnasium.Env):
    """A red dot walks to a goal; `position` says when it is there, and nothing learns from it."""

    def __init__(self):
        image, position = spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8), spaces.Box(0, SIDE, (2,), np.float32)
        self.observation_space = spaces.Dict({"image": image, "position": position})
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)
        self.floor = np.full((SIDE, SIDE, 3), 255.0)
        self.floor[[0, -1]] = self.floor[:, [0, -1]] = 0
        self.floor[:, WALL - HALF_WALL : WALL + HALF_WALL + 1] = 0
        self.floor[DOOR - HALF_DOOR : DOOR + HALF_DOOR + 1, WALL - HALF_WALL : WALL + HALF_WALL + 1] = 255

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.goal = self.somewhere(), self.somewhere()
        return self.show(self.place), {"goal": self.show(self.goal), "success": False}

    def step(self, action):
        move = SPEED * np.asarray(action, float) / max(1.0, float(np.linalg.norm(action)))
        across, along = move * (1, 0), move * (0, 1)
        for wanted in (move, along, across):  # slides along a wall
            if self.free(self.place + wanted):
                self.place = self.place + wanted
                break
        success = bool(np.linalg.norm(self.place - self.goal) < NEAR)
        return self.show(self.place), float(success), success, False, {"success": success}

    def somewhere(self):
        while True:
            place = self.np_random.uniform(RADIUS + 1, SIDE - RADIUS - 2, 2)
            if self.free(place) and abs(place[0] - WALL) > HALF_WALL + RADIUS:
                return place

    def free(self, place):
        inside = ((place >= RADIUS + 1) & (place <= SIDE - RADIUS - 2)).all()
        in_wall = abs(place[0] - WALL) <= HALF_WALL + RADIUS and abs(place[1] - DOOR) > HALF_DOOR
        return inside and not in_wall

    def show(self, place):
        x, y = np.arange(SIDE) - place[0], np.arange(SIDE)[:, None] - place[1]
        share = np.exp(-(x**2 + y**2) / (2 * RADIUS**2))[..., None]
        picture = self.floor + share * ((255, 0, 0) - self.floor)
        return {"image": np.rint(picture).astype(np.uint8), "position": place.astype(np.float32)}


gymnasium.register("TwoRooms-v0", entry_point=TwoRooms, max_episode_steps=200)
