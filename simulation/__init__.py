"""A hostile world: a network, a nemesis, workloads and the checkers that judge them."""
