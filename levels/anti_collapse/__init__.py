"""What keeps latents from collapsing to a point: one regulariser per file."""
