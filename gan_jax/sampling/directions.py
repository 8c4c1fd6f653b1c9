"""Finds directions of the latents or styles that change a sample most."""

from typing import Any, Callable, NamedTuple, Sequence

import chex
import jax
import jax.numpy as jnp

from gan_jax import training

Array = jax.Array
PyTree = Any


class Directions(NamedTuple):
  """Directions of the latents or styles of a generator, strongest first.

  Attributes:
    vectors: unit vectors, `[D, D]`, a direction in each row.
    strengths: shares of all change, `[D]`, which sum to 1.
    space: 'z' for latents, 'w' for styles.
    method: 'SeFa' or 'gradients'.
  """

  vectors: Array
  strengths: Array
  space: str
  method: str


def sefa_directions(kernels: Sequence[Array]) -> tuple[Array, Array]:
  """Factorizes affine maps: the directions that they stretch most (SeFa).

  Eigenvectors of A A', where A has the kernels side by side.

  Args:
    kernels: kernels `[D, N]` of the affine maps that take the latents or the
      styles, each with N of its own.

  Returns:
    Directions, `[D, D]`, unit vectors in rows, strongest first, and their
    strengths, `[D]`: the shares of the sum of all eigenvalues. The largest
    entry of each direction is positive.

  References:
    Shen and Zhou, Closed-Form Factorization of Latent Semantics in GANs,
    https://arxiv.org/abs/2007.06600, 2021, equation 5.
  """
  chex.assert_rank(list(kernels), 2)
  return principal_axes(sum(kernel @ kernel.T for kernel in kernels))


def gradient_gram(
  generate: Callable[[Array], Array], latents: Array, key: Array
) -> Array:
  """Estimates how much each direction changes samples, for any generator.

  The sum of J'J over latents, where J is the Jacobian of the generator, whose
  `principal_axes` are the directions that change samples most. With
  e ~ N(0, I), J'e is a gradient, and (J'e)(J'e)' has the mean J'J; one e is
  drawn for each of the latents.

  Args:
    generate: latents `[B, D]` -> samples `[B, ...]`.
    latents: latents, `[B, D]`, float; in all, some times D of them.
    key: key of e.

  Returns:
    `[D, D]`, to be summed over batches.

  References:
    Constantine et al., Active Subspace Methods in Theory and Practice,
    https://arxiv.org/abs/1304.2070, 2014, equation 2. Hutchinson, A Stochastic
    Estimator of the Trace of the Influence Matrix,
    https://doi.org/10.1080/03610919008812866, 1990.
  """
  chex.assert_rank(latents, 2)
  samples, pull_back = jax.vjp(generate, latents)
  noise = jax.random.normal(key, samples.shape, samples.dtype)
  (gradients,) = pull_back(noise)
  return gradients.T @ gradients


def affine_kernels(gan: training.GAN, params: PyTree) -> list[Array]:
  """Returns the kernels that SeFa factorizes.

  Args:
    gan: the GAN.
    params: parameters of its generator.

  Returns:
    Kernels `[D, N]`: those that take the style, of a generator with styles;
    else that of the dense layer that takes all latents, and maybe a label after
    them. [] if the generator has none such, as BigGAN, which cuts its latents.
  """
  if 'shared_embedding' in params:  # BigGAN's blocks take the latents, too
    return []
  leaves = jax.tree_util.tree_leaves_with_path(params)
  named = [([getattr(k, 'key', '') for k in path], x) for path, x in leaves]
  matrices = [
    (keys, x) for keys, x in named if keys[-1] == 'kernel' and x.ndim == 2
  ]
  if gan.generator.mapping is not None:
    return [x for keys, x in matrices if keys[-2:] == ['style', 'kernel']]
  size = gan.latent_dim
  whole = (size, size + gan.classes)
  return [
    x[:size]
    for keys, x in matrices
    if (keys == ['Dense_0', 'kernel'] and len(x) in whole)
    or (keys == ['basis', 'kernel'] and len(x) >= size)  # R3GAN's
  ]


def principal_axes(matrix: Array) -> tuple[Array, Array]:
  """Returns the eigenvectors of a matrix, as sefa_directions does.

  Args:
    matrix: symmetric, with no negative eigenvalues, `[D, D]`.
  """
  values, vectors = jnp.linalg.eigh(matrix)
  values, vectors = values[::-1], vectors.T[::-1]
  largest = jnp.abs(vectors).argmax(axis=1)[:, None]
  signs = jnp.sign(jnp.take_along_axis(vectors, largest, axis=1))
  values = jnp.maximum(values, 0)
  return signs * vectors, values / jnp.maximum(values.sum(), 1e-30)
