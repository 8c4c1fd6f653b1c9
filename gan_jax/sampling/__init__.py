"""Samples of trained generators."""
