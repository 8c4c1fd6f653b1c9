"""Draws samples from generators, and explores what they have learned."""

from gan_jax.sampling.class_labels import LabelFn, label_fn, labels_in_rows
from gan_jax.sampling.directions import Directions, sefa_directions
from gan_jax.sampling.interpolation import closed_walk, lerp, slerp
from gan_jax.sampling.mixing import mix_styles, mixing_grid
from gan_jax.sampling.neighbors import nearest_neighbors
from gan_jax.sampling.projection import Projection, project, pyramid_distance
from gan_jax.sampling.sampler import Sampler, make_sampler
from gan_jax.sampling.standing_stats import standing_statistics
from gan_jax.sampling.styles import mean_style, truncate_styles

__all__ = [
  'Directions',
  'LabelFn',
  'Projection',
  'Sampler',
  'closed_walk',
  'label_fn',
  'labels_in_rows',
  'lerp',
  'make_sampler',
  'mean_style',
  'mix_styles',
  'mixing_grid',
  'nearest_neighbors',
  'project',
  'pyramid_distance',
  'sefa_directions',
  'slerp',
  'standing_statistics',
  'truncate_styles',
]
