"""Files: locks, logs, checkpoints, formats of other libraries."""
