"""Path length regularization of the generator."""

from typing import Callable

import chex
import jax
import jax.numpy as jnp

from gan_jax.penalties.interpolation import normal_like
from gan_jax.penalties.running_mean import update_running_mean

Array = jax.Array


def path_lengths(
  generate_fn: Callable[[Array], Array], latents: Array, keys: Array
) -> Array:
  """How far an example moves per unit of latent, in a random direction.

  |J^T y|, J = d generate_fn(z) / dz, y ~ N(0, I) / sqrt(height * width)

  For vectors y ~ N(0, I). By automatic differentiation, without J.

  Args:
    generate_fn: latents `[B, Z]` to examples `[B, ...]`, each of its own
      latent alone.
    latents: `[B, Z]`, float.
    keys: `[B]`, one per example.

  Returns:
    `[B]`, at least 0.

  Raises:
    AssertionError: where generate_fn does not return one example per latent,
      or for latents of another rank, or integers.

  References:
    Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
    https://arxiv.org/abs/1912.04958, 2020, section 3.2.
  """
  chex.assert_rank(latents, 2)
  chex.assert_type(latents, float)
  shape = jax.eval_shape(generate_fn, latents)
  chex.assert_equal(shape.shape[:1], latents.shape[:1])
  pixels = shape.shape[1] * shape.shape[2] if len(shape.shape) == 4 else 1
  y = normal_like(keys, shape) / jnp.sqrt(jnp.asarray(pixels, shape.dtype))
  projected = lambda z: (generate_fn(z) * y).sum()
  gradients = jax.grad(projected)(latents)
  gradients = gradients.astype(jnp.promote_types(gradients.dtype, jnp.float32))
  return jnp.sqrt(jnp.square(gradients).sum(axis=1) + 1e-12)


def path_length(lengths: Array, mean: Array) -> Array:
  """Squared distance of path lengths to their average.

  (|J^T y| - mean)^2

  The paper's weight is 2, every 4 steps.

  Args:
    lengths: `[B]`, of path_lengths.
    mean: scalar, their moving average; no gradient reaches it.

  Returns:
    `[B]`, at least 0.

  Raises:
    AssertionError: for lengths of another rank, or integers, or a mean that
      is no scalar.

  References:
    Karras et al., https://arxiv.org/abs/1912.04958, 2020, eq. 4.
  """
  chex.assert_rank([lengths, mean], [1, 0])
  chex.assert_type(lengths, float)
  return jnp.square(lengths - jax.lax.stop_gradient(mean))


def update_path_length_mean(
  mean: Array,
  lengths: Array,
  *,
  decay: float = 0.99,
  axis_name: str | None = None,
) -> Array:
  """Moves the average path length towards that of a batch.

  Args:
    mean: the average so far, float32 scalar.
    lengths: `[B]`, of path_lengths.
    decay: of the average, in [0, 1].
    axis_name: the mapped axis of devices, over which the batch's mean goes.

  Returns:
    The new average, with no gradient.

  Raises:
    AssertionError: for a mean that is no scalar, or lengths of another rank.
    ValueError: for an empty batch.

  References:
    Karras et al., https://arxiv.org/abs/1912.04958, 2020, appendix B.
  """
  chex.assert_rank(lengths, 1)
  return update_running_mean(mean, lengths, decay=decay, axis_name=axis_name)
