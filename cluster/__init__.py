"""Where they live: configuration, assembly, supervision, and many nodes in one process."""
