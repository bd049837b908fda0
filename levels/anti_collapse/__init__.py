"""What keeps latents from collapsing to a point: one way per file, one signature, chosen by name in `kinds`."""
