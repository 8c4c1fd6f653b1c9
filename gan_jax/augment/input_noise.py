"""Instance noise on all discriminator inputs."""

import chex
import jax

from gan_jax import prng

Array = jax.Array


def instance_noise(x: Array, keys: Array, *, sigma: Array | float) -> Array:
  """Adds N(0, sigma^2) to every value of real and generated examples.

  The noise gives both distributions full support, so that they overlap.

  Args:
    x: examples, `[B, ...]`, float; images or not.
    keys: typed keys, one per example, `[B]`.
    sigma: standard deviation, scalar, at least 0; 0 returns x unchanged.

  Returns:
    The noisy examples, of the shape and dtype of x.

  Raises:
    AssertionError: if x is a vector or has integers, or the number of keys
      differs.

  References:
    Sonderby et al., Amortised MAP Inference for Image Super-resolution,
    https://arxiv.org/abs/1610.04490, 2016, section 3.
    Arjovsky and Bottou, Towards Principled Methods for Training Generative
    Adversarial Networks, https://arxiv.org/abs/1701.04862, 2017, section 3.
  """
  chex.assert_rank(x, set(range(2, 10)))
  chex.assert_type(x, float)
  keys = prng.typed_keys(keys)
  chex.assert_shape(keys, (x.shape[0],))
  chex.assert_rank(sigma, 0)
  noise = prng.sample_normal(keys, x.shape[1:])
  return (x + sigma * noise).astype(x.dtype)
