"""Draws samples from generators."""

from gan_jax.sampling.class_labels import LabelFn, label_fn, labels_in_rows
from gan_jax.sampling.sampler import Sampler, make_sampler
from gan_jax.sampling.standing_stats import standing_statistics
from gan_jax.sampling.styles import mean_style, truncate_styles

__all__ = [
  'LabelFn',
  'Sampler',
  'label_fn',
  'labels_in_rows',
  'make_sampler',
  'mean_style',
  'standing_statistics',
  'truncate_styles',
]
