"""The invariants of RELIABILITY 1.2 and 1.3, one small file per group."""
