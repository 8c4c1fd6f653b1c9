"""Penalties on the discriminator: functions of `logits_fn`, one per example.

`logits_fn` maps examples `[B, ...]` to logits `[B]` or `[B, h, w]`, each row
of which depends on its own example alone (batch normalisation breaks that,
and with it the meaning of every penalty here). Nothing reduces over the
batch.

  >>> import jax.numpy as jnp
  >>> r1(lambda x: x @ jnp.array([3.0, 4.0]), jnp.ones((2, 2)))
  Array([12.5, 12.5], dtype=float32)
"""

from typing import Callable

import chex
import jax
import jax.numpy as jnp

Array = jax.Array


def r1(logits_fn: Callable[[Array], Array], real: Array) -> Array:
  """Squared gradient of the logit at real examples, halved.

  |d logits_fn(x) / dx|^2 / 2

  Times its weight gamma, mean over the batch, this is R1 as in the paper,
  whose eq. 9 carries the 1/2 that some code drops. The logits of patches are
  summed.

  Args:
    logits_fn: examples `[B, ...]` to logits `[B]` or `[B, h, w]`.
    real: real examples, `[B, ...]`, float.

  Returns:
    The penalty of each example, `[B]`, at least 0.

  Raises:
    AssertionError: where logits_fn does not return one logit (or one map of
      them) per example, or the examples are not floating point.

  References:
    Mescheder et al., Which Training Methods for GANs do actually Converge?,
    https://arxiv.org/abs/1801.04406, 2018, eq. 9.
  """
  chex.assert_type(real, float)

  def total(x):
    logits = logits_fn(x)
    chex.assert_rank(logits, {1, 3})
    chex.assert_equal(logits.shape[0], x.shape[0])
    return logits.sum()

  gradients = jax.grad(total)(real).reshape(real.shape[0], -1)
  return jnp.square(gradients).sum(axis=1) / 2


PENALTIES: dict[str, Callable[..., Array]] = {'r1': r1}
