"""Encoders: an observation becomes level 1's latent, a latent becomes the latent of the level above."""
