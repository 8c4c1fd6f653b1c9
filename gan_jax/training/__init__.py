"""Training steps and their parts: pure functions."""
