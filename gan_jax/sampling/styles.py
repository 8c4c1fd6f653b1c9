"""Styles of a generator that maps its latents: their mean, and truncation."""

from typing import Any, Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import training

Array = jax.Array
PyTree = Any


def mean_style(weights: tuple[PyTree, PyTree]) -> Array:
  """Returns the mean style of a generator.

  Args:
    weights: (params, batch_stats) of the generator. Its statistic 'track_w' is
      a running mean in training; those of sampling.standing_statistics are the
      mean of the given parameters.

  Returns:
    `[W]` float32.

  Raises:
    ValueError: if there is no such statistic.
  """
  for path, leaf in jax.tree.leaves_with_path(weights[1]):
    if getattr(path[-1], 'key', '') == 'track_w':
      return leaf
  raise ValueError("the generator keeps no mean of its styles ('track_w')")


def truncate_styles(styles: Array, mean: Array, psi: Array | float) -> Array:
  """Moves styles towards their mean: mean + psi (style - mean).

  Args:
    styles: styles, `[B, L, W]`, float.
    mean: their mean, `[W]`.
    psi: 1 leaves the styles as they are, 0 gives the mean; a scalar, or one
      number for each layer, `[L]`.

  Returns:
    Styles, `[B, L, W]`.

  References:
    Karras et al., A Style-Based Generator Architecture for GANs,
    https://arxiv.org/abs/1812.04948, 2019, appendix B.
  """
  chex.assert_rank([styles, mean], [3, 1])
  psi = jnp.broadcast_to(jnp.asarray(psi, styles.dtype), styles.shape[1:2])
  mean = mean[None, None]
  return mean + psi[None, :, None] * (styles - mean)


def num_styles(gan: training.GAN, weights: tuple[PyTree, PyTree]) -> int:
  """Returns the number of styles of an example, L.

  Args:
    gan: the GAN, whose generator has a mapping.
    weights: (params, batch_stats) of the generator.
  """
  latents = jax.ShapeDtypeStruct((1, gan.latent_dim), jnp.float32)
  label = jax.ShapeDtypeStruct((1,), jnp.int32) if gan.classes else None
  mapping = training.make_mapping_fn(gan)
  return jax.eval_shape(mapping, weights, latents, label).shape[1]


def check_psi(
  psi: float | Sequence[float] | None,
  gan: training.GAN,
  weights: tuple[PyTree, PyTree],
) -> np.ndarray | None:
  """Checks a truncation.

  Args:
    psi: a number from 0 to 1, or one for each style; None for none.
    gan: the GAN.
    weights: (params, batch_stats) of its generator.

  Returns:
    `[L]` float32, or None.

  Raises:
    ValueError: if the generator has no styles, or psi is out of range or of
      another length.
  """
  if psi is None:
    return None
  if gan.generator.mapping is None:
    raise ValueError(
      f'psi={psi}: the generator has no styles w; psi is for generators with a '
      'mapping, such as stylegan2. Latents are truncated by sample.py '
      "--truncate_z, or in a run by latents.name='truncated_normal'"
    )
  count = num_styles(gan, weights)
  values = np.asarray(psi, np.float32)
  if values.shape not in ((), (count,)):
    raise ValueError(
      f'psi={psi}: must be one number, or one for each of {count} styles'
    )
  if not ((values >= 0) & (values <= 1)).all():
    raise ValueError(f'psi={psi}: must be from 0 (the mean style) to 1')
  return np.broadcast_to(values, (count,))
