"""Costs learned in latents, from trajectories alone: one head per file."""
