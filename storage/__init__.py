"""What is remembered: records, segments, logs and checkpoints, on disk or in memory."""
