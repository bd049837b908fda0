"""The stack of levels: weights, checkpoints, calibration, and the levels as planners see them."""
