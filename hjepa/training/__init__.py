"""Training with Lightning: levels, and what is distilled from them."""

from hjepa._guard import check_lightning

check_lightning()  # before anything here imports it
