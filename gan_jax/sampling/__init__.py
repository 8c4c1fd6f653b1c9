"""Draws samples from generators."""

from gan_jax.sampling.sampler import LabelFn, Sampler, make_sampler
from gan_jax.sampling.standing_stats import standing_statistics

__all__ = [
  'LabelFn',
  'Sampler',
  'make_sampler',
  'standing_statistics',
]
