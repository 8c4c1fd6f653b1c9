"""Experiments: from a config to everything that a program needs."""
