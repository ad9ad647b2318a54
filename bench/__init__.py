"""Measurements: throughput, latency and failover, against ourselves and against peers."""
