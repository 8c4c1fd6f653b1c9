"""Devices, processes, signals and XLA settings."""
