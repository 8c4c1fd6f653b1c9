"""Penalties on the gradient of a logit with respect to its example.

`logits_fn` maps examples `[B, ...]` to logits `[B]` or `[B, h, w]`. Each row
of logits must depend on its own example only. Batch normalization breaks this
and makes every penalty here meaningless. Patch logits are summed. Nothing
reduces over the batch.

If a squared gradient norm overflows float32 (a norm above 1.8e19), the penalty
is infinite; for penalties with a square root, its own gradient is then NaN.
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
  """Computes the gradient of each logit with respect to its example.

  Args:
    logits_fn: function from examples `[B, ...]` to logits `[B]` or `[B, h, w]`.
    x: examples, `[B, ...]`, float.

  Returns:
    Flattened gradients, `[B, D]`, in at least float32.

  Raises:
    AssertionError: if logits_fn does not return one logit (or one patch map)
      per example, or the examples are not floating point.
    ValueError: if there are no examples.
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
  # The root has no gradient at 0; the offset bounds it.
  return jnp.sqrt(_squared_norms(logits_fn, x) + 1e-12)


def r1(logits_fn: LogitsFn, real: Array) -> Array:
  """Computes half the squared gradient norm at real examples (R1).

  |d logits_fn(x) / dx|^2 / 2

  Its batch mean times the weight gamma is R1 as in the paper. Eq. 9 contains
  the 1/2, which some implementations drop.

  Args:
    logits_fn: function from examples `[B, ...]` to logits `[B]` or `[B, h, w]`.
    real: real examples, `[B, ...]`, float.

  Returns:
    Penalty per example, `[B]`, at least 0.

  Raises:
    AssertionError: if logits_fn does not return one logit (or one patch map)
      per example, or the examples are not floating point.

  References:
    Mescheder et al., Which Training Methods for GANs do actually Converge?,
    https://arxiv.org/abs/1801.04406, 2018, eq. 9.
  """
  return _squared_norms(logits_fn, real) / 2


def r2(logits_fn: LogitsFn, fake: Array) -> Array:
  """Computes half the squared gradient norm at generated examples (R2).

  |d logits_fn(G(z)) / dG(z)|^2 / 2

  Args:
    logits_fn: function from examples `[B, ...]` to logits `[B]` or `[B, h, w]`.
    fake: generated examples, `[B, ...]`, float; no gradient reaches the
      generator.

  Returns:
    Penalty per example, `[B]`, at least 0.

  Raises:
    AssertionError: under the conditions of r1.

  References:
    Mescheder et al., Which Training Methods for GANs do actually Converge?,
    https://arxiv.org/abs/1801.04406, 2018, eq. 10.
  """
  return _squared_norms(logits_fn, jax.lax.stop_gradient(fake)) / 2


def zero_centered(
  logits_fn: LogitsFn, real: Array, fake: Array, keys: Array
) -> Array:
  """Computes the squared gradient norm between real and generated examples.

  |d logits_fn(x) / dx|^2 at x = u real + (1 - u) fake, u ~ U(0, 1)

  Args:
    logits_fn: function from examples `[B, ...]` to logits `[B]` or `[B, h, w]`.
    real: real examples, `[B, ...]`, float.
    fake: generated examples, same shape.
    keys: typed keys, one per example, `[B]`.

  Returns:
    Penalty per pair, `[B]`, at least 0.

  Raises:
    AssertionError: under the conditions of r1, or if the shapes of real and
      fake differ.

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
  """Computes (gradient norm - 1)^2 between real and generated examples.

  (|d logits_fn(x) / dx| - target)^2 at x = u real + (1 - u) fake

  The paper's weight is 10.

  Args:
    logits_fn: function from examples `[B, ...]` to logits `[B]` or `[B, h, w]`.
    real: real examples, `[B, ...]`, float.
    fake: generated examples, same shape.
    keys: typed keys, one per example, `[B]`.
    target: target of the gradient norm.

  Returns:
    Penalty per pair, `[B]`, at least 0.

  Raises:
    AssertionError: under the conditions of r1, or if the shapes of real and
      fake differ.

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
  """Computes relu(gradient norm - 1)^2 between real and generated examples.

  max(0, |d logits_fn(x) / dx| - target)^2 at x = u real + (1 - u) fake

  Arguments, returns and errors as for wgan_gp.

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
  """Computes (gradient norm - 1)^2 around real examples.

  (|d logits_fn(x + d) / dx| - target)^2, d ~ N(0, (scale * std)^2 I)

  std is the standard deviation of all numbers in the real batch. The paper's
  weight is 10; the authors' code draws d uniformly.

  Args:
    logits_fn: function from examples `[B, ...]` to logits `[B]` or `[B, h, w]`.
    real: real examples, `[B, ...]`, float.
    keys: typed keys, one per example, `[B]`.
    scale: standard deviation of the noise in units of the data's.
    target: target of the gradient norm.
    axis_name: name of the mapped device axis for std, or None.

  Returns:
    Penalty per example, `[B]`, at least 0.

  Raises:
    AssertionError: under the conditions of r1.

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
  """Computes the largest squared gradient norm in the batch (MaxGP).

  max over the batch of |d logits_fn(x) / dx|^2, x = u real + (1 - u) fake

  Args:
    logits_fn: function from examples `[B, ...]` to logits `[B]` or `[B, h, w]`.
    real: real examples, `[B, ...]`, float.
    fake: generated examples, same shape.
    keys: typed keys, one per example, `[B]`.
    axis_name: name of the mapped device axis for the maximum, or None.

  Returns:
    The maximum, repeated for each example, `[B]`.

  Raises:
    AssertionError: under the conditions of r1, or if the shapes of real and
      fake differ.

  References:
    Zhou et al., Lipschitz Generative Adversarial Nets,
    https://arxiv.org/abs/1902.05687, 2019 (MaxGP).
  """
  values = _squared_norms(
    logits_fn, interpolation.interpolate(real, fake, keys)
  )
  everyone = collectives.all_gather(values, axis_name)  # pmax has no gradient
  return jnp.broadcast_to(everyone.max(), values.shape)
