"""Where the cells of an ablation run: in this process, in local processes, on a Ray cluster, or under Slurm.

An engine takes jobs and yields outcomes as they come. Everything that crosses the line between processes or
machines is plain data plus a function that can be imported, and what a job finishes it writes itself, so
that an engine has nothing to do but call `perform_logged` somewhere that sees the same folder.
"""

from hjepa.sweeps.engines.jobs import Engine, InProcess, Job, Outcome, RunCell
from hjepa.sweeps.engines.local import LocalProcesses
from hjepa.sweeps.engines.ray_cluster import RayCluster
from hjepa.sweeps.engines.slurm import Slurm

__all__ = ["Engine", "InProcess", "Job", "LocalProcesses", "Outcome", "RayCluster", "RunCell", "Slurm"]
