"""Training with Lightning: levels, and what is distilled from them."""
