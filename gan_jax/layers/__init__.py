"""Layers that the architectures share: Flax Linen."""
