"""The f-GAN family: a variational bound on each f-divergence.

With T = activation(logit), the discriminator maximizes

  E_p[T(x)] - E_q[f*(T(x))]  <=  D_f(p || q) = E_q[f(p / q)]

where f* is the convex conjugate of f, p the data distribution and q the
generator's. The activation keeps T in the domain of f*. The bound is tight at
T = f'(p / q).

KL, reverse KL and squared Hellinger contain an exponential of the logit: in
float32 their losses and gradients are finite for logits in [-80, 80].
"""

from typing import Callable, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.losses.base import AdversarialLoss, check_logits

Array = jax.Array
LOG_2 = 0.6931471805599453
SAFE_LOGIT = 80.0


class Divergence(NamedTuple):
  """An f-divergence in terms of the discriminator's logit.

  Attributes:
    activation: function from a logit v to T.
    conjugate: function from v to f*(T(v)), in one stable formula.
    optimal_logit: function from p / q to the logit at which the bound is tight.
    divergence: function from (p, q), probabilities that sum to 1, to
      D_f(p || q).
    decision_threshold: optimal logit at p = q.
  """

  activation: Callable[[Array], Array]
  conjugate: Callable[[Array], Array]
  optimal_logit: Callable[[Array], Array]
  divergence: Callable[[Array, Array], Array]
  decision_threshold: float


DIVERGENCES: dict[str, Divergence] = {
  # f(u) = u log u
  'kl': Divergence(
    activation=lambda v: v,
    conjugate=lambda v: jnp.exp(v - 1),
    optimal_logit=lambda ratio: 1 + jnp.log(ratio),
    divergence=lambda p, q: (p * jnp.log(p / q)).sum(),
    decision_threshold=1.0,
  ),
  # f(u) = -log u
  'reverse_kl': Divergence(
    activation=lambda v: -jnp.exp(-v),
    conjugate=lambda v: v - 1,
    optimal_logit=jnp.log,
    divergence=lambda p, q: (q * jnp.log(q / p)).sum(),
    decision_threshold=0.0,
  ),
  # f(u) = (u - 1)^2
  'pearson': Divergence(
    activation=lambda v: v,
    conjugate=lambda v: jnp.square(v) / 4 + v,
    optimal_logit=lambda ratio: 2 * (ratio - 1),
    divergence=lambda p, q: (jnp.square(p - q) / q).sum(),
    decision_threshold=0.0,
  ),
  # f(u) = u log u - (u + 1) log((u + 1) / 2): twice the usual JS.
  'jensen_shannon': Divergence(
    activation=lambda v: LOG_2 - jax.nn.softplus(-v),
    conjugate=lambda v: jax.nn.softplus(v) - LOG_2,
    optimal_logit=jnp.log,
    divergence=lambda p, q: (
      p * jnp.log(2 * p / (p + q)) + q * jnp.log(2 * q / (p + q))
    ).sum(),
    decision_threshold=0.0,
  ),
  # f(u) = (sqrt(u) - 1)^2
  'squared_hellinger': Divergence(
    activation=lambda v: -jnp.expm1(-v),
    conjugate=jnp.expm1,
    optimal_logit=lambda ratio: jnp.log(ratio) / 2,
    divergence=lambda p, q: jnp.square(jnp.sqrt(p) - jnp.sqrt(q)).sum(),
    decision_threshold=0.0,
  ),
}


def f_gan_discriminator(
  real_logits: Array, fake_logits: Array, *, divergence: Divergence
) -> Array:
  """Computes the negated variational bound on an f-divergence.

  -T(real_logits) + f*(T(fake_logits))

  Its mean at the optimal discriminator is -D_f(p || q).

  Args:
    real_logits: discriminator outputs before the activation for real examples,
      `[...]`, float; for KL, reverse KL and squared Hellinger in [-80, 80].
    fake_logits: the same for generated examples, same shape.
    divergence: an entry of DIVERGENCES.

  Returns:
    Losses with the shape of the logits.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Nowozin et al., f-GAN, https://arxiv.org/abs/1606.00709, 2016, eq. 4 and
    6; tables 1 (divergences) and 2 (activations).
  """
  check_logits(real_logits, fake_logits)
  bound = divergence.activation(real_logits)
  return jnp.subtract(divergence.conjugate(fake_logits), bound)


def f_gan_generator(
  real_logits: Array, fake_logits: Array, *, divergence: Divergence
) -> Array:
  """Computes the generator's part of the bound, which it minimizes.

  -f*(T(fake_logits))

  Args:
    real_logits: ignored except for its shape, `[...]`, float.
    fake_logits: the discriminator before its activation, on generated
      examples, of the same shape.
    divergence: an entry of DIVERGENCES.

  Returns:
    Losses with the shape of the logits.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Nowozin et al., f-GAN, https://arxiv.org/abs/1606.00709, 2016, algorithm 1.
  """
  check_logits(real_logits, fake_logits)
  return jnp.negative(divergence.conjugate(fake_logits))


def f_gan_non_saturating_generator(
  real_logits: Array, fake_logits: Array, *, divergence: Divergence
) -> Array:
  """Computes the generator's non-saturating loss: -T of the fake logits.

  -T(fake_logits)

  Args:
    real_logits: ignored except for its shape, `[...]`, float.
    fake_logits: the discriminator before its activation, on generated
      examples, of the same shape.
    divergence: an entry of DIVERGENCES.

  Returns:
    Losses with the shape of the logits.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Nowozin et al., f-GAN, https://arxiv.org/abs/1606.00709, 2016, section 3.2.
  """
  check_logits(real_logits, fake_logits)
  return jnp.negative(divergence.activation(fake_logits))


def f_gan(divergence: Divergence) -> AdversarialLoss:
  """Builds the losses of one divergence; G minimizes the bound D maximizes.

  Args:
    divergence: an entry of DIVERGENCES, or one of your own.

  Returns:
    The losses of both players.
  """
  return _pair(divergence, f_gan_generator)


def f_gan_non_saturating(divergence: Divergence) -> AdversarialLoss:
  """Builds the losses of one divergence with the non-saturating generator.

  Args:
    divergence: an entry of DIVERGENCES, or one of your own.

  Returns:
    The losses of both players.
  """
  return _pair(divergence, f_gan_non_saturating_generator)


def _pair(divergence, generator):
  bind = lambda function: (
    lambda real, fake: function(real, fake, divergence=divergence)
  )
  return AdversarialLoss(
    bind(f_gan_discriminator),
    bind(generator),
    decision_threshold=divergence.decision_threshold,
  )
