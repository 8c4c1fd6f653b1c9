"""Scores of a generator against real data."""
