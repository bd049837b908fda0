"""One JEPA level and its parts: encoder, predictor, macro-actions, anti-collapse, memory, metrics, critic, probes.

Nothing here has heard of an environment or of a planner. A level sees what the level below calls a latent
(level 1: what the agent's encoder makes of an observation) and a grid that perception writes into memory once
per episode.

Shapes: P floor plans, N states on each, D numbers per latent, A numbers per action: ``(P, N, D)``.
"""
