"""Scores: pure functions of arrays."""

from gan_jax.evaluation import gaussian, mixtures, two_sample

__all__ = ['gaussian', 'mixtures', 'two_sample']
