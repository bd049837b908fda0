"""Names of the metrics between latents, for configuration without torch."""

METRICS = ("l2", "commute", "imagined")
