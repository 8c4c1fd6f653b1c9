"""LeCam regularization and its EMAs of logits."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax import precision
from gan_jax.penalties.interpolation import check_batch
from gan_jax.penalties.running_mean import update_running_mean

Array = jax.Array


class LogitEMA(NamedTuple):
  """EMAs of mean logits, the state of LeCam regularization; float32 scalars.

  Attributes:
    real: EMA of the mean logit of real examples.
    fake: EMA of the mean logit of generated examples.
  """

  real: Array
  fake: Array


def lecam(real_logits: Array, fake_logits: Array, anchors: LogitEMA) -> Array:
  """Computes the squared distance of logits to the EMA of the other kind.

  (real_logits - anchors.fake)^2 + (fake_logits - anchors.real)^2

  Combined with the Wasserstein loss, it makes the generator minimize a LeCam
  divergence. The paper's weights are 0.01 to 0.5.

  Args:
    real_logits: discriminator logits of real examples, `[B]` or `[B, h, w]`.
    fake_logits: discriminator logits of generated examples, same shape.
    anchors: EMAs from update_logit_ema; no gradient reaches them.

  Returns:
    Penalty per pair, `[B]`, at least 0, in at least float32; the mean over a
    patch map.

  Raises:
    AssertionError: if shapes differ, or logits are scalars or integers.
    ValueError: if the batch is empty.

  References:
    Tseng et al., Regularizing Generative Adversarial Networks under Limited
    Data, https://arxiv.org/abs/2104.03310, 2021.
  """
  chex.assert_equal_shape([real_logits, fake_logits])
  chex.assert_type([real_logits, fake_logits], float)
  check_batch(real_logits)
  chex.assert_rank(list(anchors), 0)
  real_logits, fake_logits = precision.widen((real_logits, fake_logits))
  real_anchor, fake_anchor = (
    jax.lax.stop_gradient(jnp.asarray(x, jnp.result_type(real_logits)))
    for x in anchors
  )
  values = jnp.square(real_logits - fake_anchor)
  values += jnp.square(fake_logits - real_anchor)
  return values.reshape(values.shape[0], -1).mean(axis=1)


def update_logit_ema(
  anchors: LogitEMA,
  real_logits: Array,
  fake_logits: Array,
  *,
  decay: float = 0.99,
  axis_name: str | None = None,
) -> LogitEMA:
  """Updates the EMAs of LeCam with the mean logits of a batch.

  Args:
    anchors: the EMAs so far.
    real_logits: discriminator logits of real examples, `[...]`, float.
    fake_logits: discriminator logits of generated examples, `[...]`, float.
    decay: decay of the EMAs, in [0, 1]; the paper's is 0.99.
    axis_name: name of the mapped device axis for the means, or None.

  Returns:
    The new EMAs, with no gradient.

  Raises:
    AssertionError: if an EMA is not a scalar, or logits are scalars or
      integers.
    ValueError: if the batch is empty.

  References:
    Tseng et al., https://arxiv.org/abs/2104.03310, 2021.
  """

  move = lambda anchor, logits: update_running_mean(
    anchor, logits, decay=decay, axis_name=axis_name
  )
  return LogitEMA(
    move(anchors.real, real_logits), move(anchors.fake, fake_logits)
  )
