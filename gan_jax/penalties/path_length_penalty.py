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
  """Computes the path length of the generator in a random direction.

  |J^T y|, J = d generate_fn(z) / dz, y ~ N(0, I) / sqrt(height * width)

  For examples that are not images, y ~ N(0, I). For styles, one for each layer,
  |J^T y| is the root of the mean over layers of the squared norms: the length
  by StyleGAN2's w, another quantity than the length by its latents. The product
  is computed by automatic differentiation, without forming J.

  Args:
    generate_fn: function from latents `[B, Z]`, or styles `[B, L, W]`, to
      examples `[B, ...]`, each a function of its own latent only.
    latents: latents `[B, Z]`, or styles `[B, L, W]`, float.
    keys: typed keys, one per example, `[B]`.

  Returns:
    Path length per latent, `[B]`, at least 0.

  Raises:
    AssertionError: if generate_fn does not return one example per latent, or
      the latents have another rank or are integers.

  References:
    Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
    https://arxiv.org/abs/1912.04958, 2020, section 3.2.
  """
  chex.assert_rank(latents, {2, 3})
  chex.assert_type(latents, float)
  shape = jax.eval_shape(generate_fn, latents)
  chex.assert_equal(shape.shape[:1], latents.shape[:1])
  pixels = shape.shape[1] * shape.shape[2] if len(shape.shape) == 4 else 1
  y = normal_like(keys, shape) / jnp.sqrt(jnp.asarray(pixels, shape.dtype))
  projected = lambda z: (generate_fn(z) * y).sum()
  gradients = jax.grad(projected)(latents)
  gradients = gradients.astype(jnp.promote_types(gradients.dtype, jnp.float32))
  squares = jnp.square(gradients).sum(axis=-1)
  squares = squares if squares.ndim == 1 else squares.mean(axis=1)
  return jnp.sqrt(squares + 1e-12)


def path_length(lengths: Array, mean: Array) -> Array:
  """Computes the squared distance of path lengths to their running mean.

  (|J^T y| - mean)^2

  The paper's weight is 2, applied every 4 steps.

  Args:
    lengths: path lengths from path_lengths, `[B]`.
    mean: their running mean, scalar; no gradient reaches it.

  Returns:
    Penalty per example, `[B]`, at least 0.

  Raises:
    AssertionError: if lengths have another rank or are integers, or mean is
      not a scalar.

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
  """Updates the running mean of path lengths with those of a batch.

  Args:
    mean: running mean so far, float32 scalar.
    lengths: path lengths from path_lengths, `[B]`.
    decay: weight of the running mean so far, in [0, 1].
    axis_name: name of the mapped device axis for the batch's mean, or None.

  Returns:
    The new running mean, with no gradient.

  Raises:
    AssertionError: if mean is not a scalar, or lengths have another rank.
    ValueError: if the batch is empty.

  References:
    Karras et al., https://arxiv.org/abs/1912.04958, 2020, appendix B.
  """
  chex.assert_rank(lengths, 1)
  return update_running_mean(mean, lengths, decay=decay, axis_name=axis_name)
