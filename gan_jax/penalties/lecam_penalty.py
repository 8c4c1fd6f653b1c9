"""LeCam regularization and its moving averages of logits."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax.penalties.interpolation import check_batch
from gan_jax.penalties.running_mean import update_running_mean

Array = jax.Array


class LogitEMA(NamedTuple):
  """LeCam's memory, float32 scalars.

  Attributes:
    real: moving average of the mean logit of real examples.
    fake: the same of generated ones.
  """

  real: Array
  fake: Array


def lecam(real_logits: Array, fake_logits: Array, anchors: LogitEMA) -> Array:
  """Squared distance of each logit to the average logit of the other kind.

  (real_logits - anchors.fake)^2 + (fake_logits - anchors.real)^2

  With the Wasserstein loss it makes the generator minimise a LeCam
  divergence. The paper's weights are 0.01 to 0.5.

  Args:
    real_logits: the discriminator on real examples, `[B]` or `[B, h, w]`.
    fake_logits: the same on generated examples, of the same shape.
    anchors: as update_anchors keeps them; no gradient reaches them.

  Returns:
    `[B]`, at least 0; the mean over a patch map.

  Raises:
    AssertionError: for shapes that differ, scalars or integers.
    ValueError: for an empty batch.

  References:
    Tseng et al., Regularizing Generative Adversarial Networks under Limited
    Data, https://arxiv.org/abs/2104.03310, 2021.
  """
  chex.assert_equal_shape([real_logits, fake_logits])
  chex.assert_type([real_logits, fake_logits], float)
  check_batch(real_logits)
  chex.assert_rank(list(anchors), 0)
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
  """Moves LeCam's averages towards the mean logits of a batch.

  Args:
    anchors: the averages so far.
    real_logits: the discriminator on real examples, `[...]`, float.
    fake_logits: the same on generated examples.
    decay: of the average, in [0, 1]; 0.99 is the paper's.
    axis_name: the mapped axis of devices, over which the means go.

  Returns:
    The new averages, with no gradient.

  Raises:
    AssertionError: for averages that are no scalars, or logits that are, or
      are integers.
    ValueError: for an empty batch.

  References:
    Tseng et al., https://arxiv.org/abs/2104.03310, 2021.
  """

  move = lambda anchor, logits: update_running_mean(
    anchor, logits, decay=decay, axis_name=axis_name
  )
  return LogitEMA(
    move(anchors.real, real_logits), move(anchors.fake, fake_logits)
  )
