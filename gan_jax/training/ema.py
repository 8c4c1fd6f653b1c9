"""Exponential moving averages of trees of arrays."""

import math
from typing import Any

import chex
import jax
import jax.numpy as jnp

PyTree = Any


def is_averaged_leaf(path: tuple[Any, ...], leaf: Any) -> bool:
  """Whether a leaf has a mean: floating point, not named 'power_...'.

  Args:
    path: of the leaf in its tree, as jax.tree_util gives it.
    leaf: an array.

  Returns:
    False for counters, and for the directions of spectral norm.
  """
  name = str(getattr(path[-1], 'key', '')) if path else ''
  is_float = jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
  return bool(is_float) and not name.startswith('power_')


def ema_update(
  average: PyTree, new: PyTree, decay: jax.Array | float
) -> PyTree:
  """Moves an average towards new values: decay * average + (1 - decay) * new.

  Leaves that are not floating point (counters) take the new value, and so do
  those whose name begins with 'power_': the directions that spectral norm
  iterates, whose mean is no direction. Averaging over n steps means about
  decay = 1 - 1 / n.

  Args:
    average: tree of arrays.
    new: tree of the same structure and shapes.
    decay: scalar in [0, 1]; 0 copies.

  Returns:
    The new average, of average's dtypes.

  Raises:
    AssertionError: where the trees differ in structure or shapes, or the
      decay is no scalar.
    ValueError: for a decay outside [0, 1], where it is a Python number.
  """
  chex.assert_trees_all_equal_shapes_and_dtypes(average, new)
  chex.assert_rank(decay, 0)
  if isinstance(decay, int | float) and not 0 <= decay <= 1:
    raise ValueError(f'decay={decay}: must be between 0 and 1')

  def leaf(path, old, value):
    if not is_averaged_leaf(path, old):
      return value
    return (decay * old + (1 - decay) * value).astype(old.dtype)

  return jax.tree_util.tree_map_with_path(leaf, average, new)


def half_life_decay(half_life: float, batch_size: int) -> float:
  """The decay per step that halves an old value in some examples.

  0.5^(batch_size / half_life)

  Args:
    half_life: examples seen until an old value counts half, above 0.
    batch_size: examples per step.

  Returns:
    The decay, in (0, 1).

  Raises:
    ValueError: for numbers not above 0, or not finite.

  References:
    Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
    https://arxiv.org/abs/1912.04958, 2020, whose half-life is 10,000 images.
  """
  if not (0 < half_life < math.inf and 0 < batch_size < math.inf):
    raise ValueError(
      f'half_life={half_life}, batch_size={batch_size}: must be above 0, and '
      'finite'
    )
  return 0.5 ** (batch_size / half_life)


def ramped_decay(
  step: jax.Array | int, decay: jax.Array | float, rampup: jax.Array | float
) -> jax.Array:
  """The decay at a step with a warm-up of the half-life.

  The half-life is at most `rampup` times the steps done, so that the average
  forgets its untrained start; at step 0 the decay is 0.

  Args:
    step: updates of the average done, scalar.
    decay: after the warm-up, in [0, 1].
    rampup: the largest half-life as a share of the steps done; StyleGAN2 has
      0.05. 0 means no warm-up.

  Returns:
    The decay, float32 scalar, at most `decay`.

  References:
    Karras et al., Training Generative Adversarial Networks with Limited Data,
    https://arxiv.org/abs/2006.06676, 2020, appendix C.
  """
  span = jnp.float32(rampup) * step
  warm = jnp.where(span > 0, 0.5 ** (1 / jnp.maximum(span, 1e-9)), 0.0)
  return jnp.where(jnp.float32(rampup) > 0, jnp.minimum(decay, warm), decay)
