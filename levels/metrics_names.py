"""Names of distances and metrics, for configuration without torch."""

DISTANCES = ("l2", "commute", "imagined")
"""Between any two latents."""

METRICS = (*DISTANCES, "critic")
"""What planning measures with: a distance between latents throughout, or the critic to the goal and `commute` to
subgoals."""


def distance_of(metric: str) -> str:
    """The distance between latents that a metric measures subgoals with."""
    return "commute" if metric == "critic" else metric
