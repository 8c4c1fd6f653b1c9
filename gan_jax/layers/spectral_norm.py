"""Spectral normalization of a kernel, in float32.

A spectrally normalized layer keeps its power-iteration vectors and its last
divisor in `batch_stats`. It makes one iteration per application in training
and none in evaluation.
"""

from typing import Any, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import traverse_util

Array = jax.Array


class SpectralNorm(nn.Module):
  """Divides a kernel by an estimate of its largest singular value.

  The kernel, output channels last, is reshaped to a matrix [other axes,
  output]. The estimate v' W u is PyTorch's: one power iteration per application
  in training, which stores the estimate, and no gradient through u and v.
  Evaluation recomputes it from u, v and the given kernel.

  References:
    Miyato et al., Spectral Normalization for Generative Adversarial
    Networks, https://arxiv.org/abs/1802.05957, 2018, algorithm 1.
  """

  @nn.compact
  def __call__(self, kernel: Array, *, train: bool) -> Array:
    matrix = kernel.reshape(-1, kernel.shape[-1])
    unit = lambda x: x / (jnp.linalg.norm(x) + 1e-12)
    draw = lambda: jax.random.normal(self.make_rng('params'), matrix.shape[1:])
    # The network's EMA copies leaves named 'power_...' instead of averaging.
    u = self.variable('batch_stats', 'power_u', lambda: unit(draw()))
    v = self.variable('batch_stats', 'power_v', lambda: unit(matrix @ u.value))
    estimate = lambda: jnp.maximum(v.value @ matrix @ u.value, 1e-12)
    last = self.variable('batch_stats', 'power_sigma', estimate)
    if train:
      fixed = jax.lax.stop_gradient(matrix)
      v.value = unit(fixed @ u.value)
      u.value = unit(v.value @ fixed)
    sigma = estimate()
    if train:
      last.value = jax.lax.stop_gradient(sigma)
    return kernel / sigma


def spectral_norms(batch_stats: Mapping[str, Any]) -> dict[str, Array]:
  """Returns the last divisor of each spectrally normalized layer.

  The divisor estimates the layer's largest singular value from below. In
  BigGAN, some of the generator's singular values grow throughout training and
  explode at collapse.

  Args:
    batch_stats: statistics of a network.

  Returns:
    Mapping from the path of a layer, joined by '/', to a scalar above 0 (`[N]`
    for the stacked statistics of N networks). Empty if no layer is spectrally
    normalized.

  References:
    Brock et al., BigGAN, https://arxiv.org/abs/1809.11096, 2019, section 4.1.
  """
  flat = traverse_util.flatten_dict(batch_stats)
  found = {k[:-2]: v for k, v in flat.items() if k[-1] == 'power_sigma'}
  return {'/'.join(path): sigma for path, sigma in found.items()}
