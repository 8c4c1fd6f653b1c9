"""Penalties on the gradient of a logit by its example.

`logits_fn` maps examples `[B, ...]` to logits `[B]` or `[B, h, w]`, each row
of which depends on its own example alone (batch normalisation breaks that,
and with it the meaning of every penalty here). The logits of patches are
summed. Nothing reduces over the batch.

A penalty of a gradient whose square overflows float32 (a norm above 1.8e19) is
infinite, and where it has a root its own gradient is then NaN.
"""

from typing import Callable

import chex
import jax
import jax.numpy as jnp

from gan_jax import collectives
from gan_jax.penalties import interpolation

Array = jax.Array
LogitsFn = Callable[[Array], Array]


def input_gradients(logits_fn: LogitsFn, x: Array) -> Array:
  """Gradient of each example's logit by the example.

  Args:
    logits_fn: examples `[B, ...]` to logits `[B]` or `[B, h, w]`.
    x: examples, `[B, ...]`, float.

  Returns:
    `[B, D]`, flattened, in at least float32.

  Raises:
    AssertionError: where logits_fn does not return one logit (or one map of
      them) per example, or the examples are not floating point.
    ValueError: for no examples.
  """
  interpolation.check_batch(x)

  def total(x):
    logits = logits_fn(x)
    chex.assert_rank(logits, {1, 3})
    chex.assert_equal(logits.shape[0], x.shape[0])
    return logits.sum()

  gradients = jax.grad(total)(x).reshape(x.shape[0], -1)
  return gradients.astype(jnp.promote_types(gradients.dtype, jnp.float32))


def _squared_norms(logits_fn: LogitsFn, x: Array) -> Array:
  return jnp.square(input_gradients(logits_fn, x)).sum(axis=1)


def _norms(logits_fn: LogitsFn, x: Array) -> Array:
  # The root has no gradient at 0; the small number bounds it.
  return jnp.sqrt(_squared_norms(logits_fn, x) + 1e-12)


def r1(logits_fn: LogitsFn, real: Array) -> Array:
  """Squared gradient of the logit at real examples, halved.

  |d logits_fn(x) / dx|^2 / 2

  Times its weight gamma, mean over the batch, this is R1 as in the paper,
  whose eq. 9 carries the 1/2 that some code drops.

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
  return _squared_norms(logits_fn, real) / 2


def r2(logits_fn: LogitsFn, fake: Array) -> Array:
  """Squared gradient of the logit at generated examples, halved.

  |d logits_fn(G(z)) / dG(z)|^2 / 2

  Args:
    logits_fn: examples `[B, ...]` to logits `[B]` or `[B, h, w]`.
    fake: generated examples, `[B, ...]`, float; no gradient reaches the
      generator.

  Returns:
    The penalty of each example, `[B]`, at least 0.

  Raises:
    AssertionError: as r1.

  References:
    Mescheder et al., Which Training Methods for GANs do actually Converge?,
    https://arxiv.org/abs/1801.04406, 2018, eq. 10.
  """
  return _squared_norms(logits_fn, jax.lax.stop_gradient(fake)) / 2


def zero_centered(
  logits_fn: LogitsFn, real: Array, fake: Array, keys: Array
) -> Array:
  """Squared gradient of the logit between real and generated examples.

  |d logits_fn(x) / dx|^2 at x = u real + (1 - u) fake, u ~ U(0, 1)

  Args:
    logits_fn: examples `[B, ...]` to logits `[B]` or `[B, h, w]`.
    real: real examples, `[B, ...]`, float.
    fake: generated ones, of the same shape.
    keys: `[B]`, one per example.

  Returns:
    The penalty of each pair, `[B]`, at least 0.

  Raises:
    AssertionError: as r1, and for real and fake of different shapes.

  References:
    Thanh-Tung et al., Improving Generalization and Stability of Generative
    Adversarial Networks, https://arxiv.org/abs/1902.03984, 2019 (0-GP).
  """
  return _squared_norms(logits_fn, interpolation.interpolate(real, fake, keys))


def wgan_gp(
  logits_fn: LogitsFn,
  real: Array,
  fake: Array,
  keys: Array,
  *,
  target: float = 1.0,
) -> Array:
  """Distance of the gradient's norm from 1, squared, between the two sets.

  (|d logits_fn(x) / dx| - target)^2 at x = u real + (1 - u) fake

  The paper's weight is 10.

  Args:
    logits_fn: examples `[B, ...]` to logits `[B]` or `[B, h, w]`.
    real: real examples, `[B, ...]`, float.
    fake: generated ones, of the same shape.
    keys: `[B]`, one per example.
    target: the norm aimed at.

  Returns:
    The penalty of each pair, `[B]`, at least 0.

  Raises:
    AssertionError: as r1, and for real and fake of different shapes.

  References:
    Gulrajani et al., Improved Training of Wasserstein GANs,
    https://arxiv.org/abs/1704.00028, 2017, eq. 3.
  """
  norms = _norms(logits_fn, interpolation.interpolate(real, fake, keys))
  return jnp.square(norms - target)


def wgan_lp(
  logits_fn: LogitsFn,
  real: Array,
  fake: Array,
  keys: Array,
  *,
  target: float = 1.0,
) -> Array:
  """Excess of the gradient's norm over 1, squared, between the two sets.

  max(0, |d logits_fn(x) / dx| - target)^2 at x = u real + (1 - u) fake

  Args, returns and errors: as wgan_gp's.

  References:
    Petzka et al., On the Regularization of Wasserstein GANs,
    https://arxiv.org/abs/1709.08894, 2018 (WGAN-LP).
  """
  norms = _norms(logits_fn, interpolation.interpolate(real, fake, keys))
  return jnp.square(jax.nn.relu(norms - target))


def dragan(
  logits_fn: LogitsFn,
  real: Array,
  keys: Array,
  *,
  scale: float = 0.5,
  target: float = 1.0,
  axis_name: str | None = None,
) -> Array:
  """Distance of the gradient's norm from 1, squared, around real examples.

  (|d logits_fn(x + d) / dx| - target)^2, d ~ N(0, (scale * std)^2 I)

  where std is the standard deviation of all numbers in the real batch. The
  paper's weight is 10; its authors' code draws d uniformly.

  Args:
    logits_fn: examples `[B, ...]` to logits `[B]` or `[B, h, w]`.
    real: real examples, `[B, ...]`, float.
    keys: `[B]`, one per example.
    scale: deviation of the noise in units of the data's.
    target: the norm aimed at.
    axis_name: the mapped axis of devices, over which std is taken.

  Returns:
    The penalty of each example, `[B]`, at least 0.

  Raises:
    AssertionError: as r1.

  References:
    Kodali et al., On Convergence and Stability of GANs,
    https://arxiv.org/abs/1705.07215, 2017.
  """
  around = interpolation.perturb(real, keys, scale=scale, axis_name=axis_name)
  return jnp.square(_norms(logits_fn, around) - target)


def max_gp(
  logits_fn: LogitsFn,
  real: Array,
  fake: Array,
  keys: Array,
  *,
  axis_name: str | None = None,
) -> Array:
  """The largest squared gradient of the batch, between the two sets.

  max over the batch of |d logits_fn(x) / dx|^2, x = u real + (1 - u) fake

  Args:
    logits_fn: examples `[B, ...]` to logits `[B]` or `[B, h, w]`.
    real: real examples, `[B, ...]`, float.
    fake: generated ones, of the same shape.
    keys: `[B]`, one per example.
    axis_name: the mapped axis of devices, over which the maximum is taken.

  Returns:
    That one value for each example, `[B]`.

  Raises:
    AssertionError: as r1, and for real and fake of different shapes.

  References:
    Zhou et al., Lipschitz Generative Adversarial Nets,
    https://arxiv.org/abs/1902.05687, 2019 (MaxGP).
  """
  values = _squared_norms(
    logits_fn, interpolation.interpolate(real, fake, keys)
  )
  everyone = collectives.all_gather(values, axis_name)  # pmax has no gradient
  return jnp.broadcast_to(everyone.max(), values.shape)
