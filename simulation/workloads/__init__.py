"""What the cluster is asked to do, one file per workload. `simulation.workload` says how to write one."""
