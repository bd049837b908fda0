"""Many evaluations: grids of cells, tuning, and the engines that run them."""
