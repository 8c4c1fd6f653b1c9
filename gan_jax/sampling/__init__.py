"""Draws samples from generators."""

from gan_jax.sampling.sampler import Sampler, make_sampler
from gan_jax.sampling.standing_stats import standing_statistics

__all__ = [
  'Sampler',
  'make_sampler',
  'standing_statistics',
]
