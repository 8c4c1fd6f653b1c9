"""MMD-GAN: compares the discriminator's features by a kernel.

Features are `[B, F]`; logits `[B]` count as one feature. Sums run over the
batch of all devices.
"""

import functools
import numbers
from typing import Callable

import chex
import jax
import jax.numpy as jnp

from gan_jax import tracing
from gan_jax.collectives import all_gather
from gan_jax.losses.base import AdversarialLoss

Array = jax.Array
Kernel = Callable[[Array], Array]

GAUSSIAN_SIGMAS = (1.0, 2.0, 4.0, 8.0, 16.0)
QUADRATIC_ALPHAS = (0.2, 0.5, 1.0, 2.0, 5.0)


def gaussian_kernel(
  squared_distances: Array, *, sigmas: tuple[float, ...] = GAUSSIAN_SIGMAS
) -> Array:
  """Evaluates a mixture of Gaussian kernels.

  sum over sigma of exp(-d^2 / (2 sigma^2))

  Args:
    squared_distances: d^2, `[...]`, at least 0.
    sigmas: widths of the kernels, each above 0.

  Returns:
    Kernel values, of the same shape.

  References:
    Li et al., MMD GAN, https://arxiv.org/abs/1705.08584, 2017.
  """
  return sum(jnp.exp(-squared_distances / (2 * s**2)) for s in sigmas)


def rational_quadratic_kernel(
  squared_distances: Array, *, alphas: tuple[float, ...] = QUADRATIC_ALPHAS
) -> Array:
  """Evaluates a mixture of rational quadratic kernels (heavy-tailed).

  sum over alpha of (1 + d^2 / (2 alpha))^-alpha

  Args:
    squared_distances: d^2, `[...]`, at least 0.
    alphas: exponents of the kernels, each above 0.

  Returns:
    Kernel values, of the same shape.

  References:
    Binkowski et al., Demystifying MMD GANs,
    https://arxiv.org/abs/1801.01401, 2018.
  """
  return sum((1 + squared_distances / (2 * a)) ** -a for a in alphas)


def mmd_discriminator(
  real_features: Array,
  fake_features: Array,
  *,
  kernel: Kernel = rational_quadratic_kernel,
  axis_name: str | None = None,
) -> Array:
  """Computes the negated squared MMD between real and fake features.

  -MMD^2 = -E k(x, x') - E k(y, y') + 2 E k(x, y),  x != x', y != y'

  MMD is the maximum mean discrepancy. The mean over the examples is minus the
  unbiased estimate (a U-statistic), whose expectation is zero for equal
  distributions.

  Args:
    real_features: discriminator features of real examples, `[B, F]` or `[B]`.
    fake_features: discriminator features of generated examples, same shape.
    kernel: function from squared distances to kernel values.
    axis_name: name of the mapped device axis over which the sums run, or None.

  Returns:
    Contribution of each example to the mean, `[B]`.

  Raises:
    AssertionError: if the features differ in shape, are empty, or are not
      floating point.
    ValueError: if the batch has fewer than 2 examples, hence no pairs.

  References:
    Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012, lemma 6.
    Li et al., MMD GAN, https://arxiv.org/abs/1705.08584, 2017.
    Binkowski et al., Demystifying MMD GANs,
    https://arxiv.org/abs/1801.01401, 2018.
  """
  chex.assert_equal_shape([real_features, fake_features])
  options = dict(kernel=kernel, axis_name=axis_name)
  both = real_features, fake_features
  value = mmd_witness(fake_features, *both, own='fake', **options)
  value -= mmd_witness(real_features, *both, own='real', **options)
  return value.astype(jnp.result_type(real_features, fake_features))


def mmd_generator(
  real_features: Array,
  fake_features: Array,
  *,
  kernel: Kernel = rational_quadratic_kernel,
  axis_name: str | None = None,
) -> Array:
  """Computes the squared MMD between real and fake features.

  MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y),  x != x', y != y'

  The negation of mmd_discriminator, with the same arguments, errors and
  references.
  """
  return -mmd_discriminator(
    real_features, fake_features, kernel=kernel, axis_name=axis_name
  )


def mmd_witness(
  features: Array,
  real_features: Array,
  fake_features: Array,
  *,
  own: str = 'none',
  kernel: Kernel = rational_quadratic_kernel,
  axis_name: str | None = None,
) -> Array:
  """Evaluates the witness function: positive where real features are denser.

  E k(features, x) - E k(features, y), x real, y generated

  Args:
    features: points at which to evaluate, `[n, F]` or `[n]`.
    real_features: features of real examples, `[B, F]` or `[B]`.
    fake_features: features of generated examples, `[B, F]` or `[B]`.
    own: 'real' or 'fake' if `features` is that same set, else 'none'. Each
      point is then left out of its own mean, to avoid a bias towards its set.
    kernel: function from squared distances to kernel values.
    axis_name: name of the mapped device axis for the means, or None.

  Returns:
    Scores that gradient penalties use in place of logits, `[n]`.

  Raises:
    AssertionError: if the features differ in length, are empty, or are not
      floating point.
    ValueError: if the `own` set has only one example, or a set has none.

  References:
    Binkowski et al., Demystifying MMD GANs,
    https://arxiv.org/abs/1801.01401, 2018, section 2.1.
  """

  def mean(other, is_own):
    everyone = all_gather(_features(other), axis_name)
    values = kernel(_squared_distances(_features(features), everyone))
    if not is_own and len(everyone):
      return values.mean(axis=1)
    itself = kernel(jnp.zeros((), values.dtype))
    count = len(everyone)
    if count < 2:
      raise ValueError(f'MMD needs a batch of at least 2 examples, got {count}')
    return (values.sum(axis=1) - itself) / (count - 1)

  return mean(real_features, own == 'real') - mean(fake_features, own == 'fake')


def _features(x: Array) -> Array:
  chex.assert_type(x, float)
  chex.assert_rank(x, {1, 2})
  # Differences of kernel means cancel: use at least float32.
  x = jnp.asarray(x, jnp.promote_types(jnp.result_type(x), jnp.float32))
  x = x if x.ndim == 2 else x[:, None]
  chex.assert_axis_dimension_gt(x, 1, 0)
  return x


def _squared_distances(x: Array, y: Array) -> Array:
  chex.assert_equal_shape_suffix([x, y], 1)
  # Not |x|^2 - 2 xy + |y|^2, which rounds to below 0 for close features.
  # Halves, because the gradient 2 (x - y) may overflow and meet a kernel's 0.
  return 4 * jnp.square(x[:, None] / 2 - y[None] / 2).sum(axis=-1)


def mmd(kernel: Kernel = rational_quadratic_kernel) -> AdversarialLoss:
  """Builds the losses of MMD-GAN with the given kernel.

  Args:
    kernel: function from squared distances to kernel values.

  Returns:
    The losses of both players, on features.
  """
  bind = functools.partial
  return AdversarialLoss(
    bind(mmd_discriminator, kernel=kernel),
    bind(mmd_generator, kernel=kernel),
    coupled=True,
    output='features',
    witness=bind(mmd_witness, kernel=kernel),
  )


def mmd_gaussian(
  *, sigmas: tuple[float, ...] = GAUSSIAN_SIGMAS
) -> AdversarialLoss:
  """Builds the losses of MMD-GAN with a mixture of Gaussian kernels.

  Raises:
    ValueError: if a width is outside [1e-9, 1e9].
  """
  _check_range('sigmas', sigmas)
  return mmd(functools.partial(gaussian_kernel, sigmas=sigmas))


def mmd_rational_quadratic(
  *, alphas: tuple[float, ...] = QUADRATIC_ALPHAS
) -> AdversarialLoss:
  """Builds the losses of MMD-GAN with rational quadratic kernels.

  Raises:
    ValueError: if an exponent is outside [1e-9, 1e9].
  """
  _check_range('alphas', alphas)
  return mmd(functools.partial(rational_quadratic_kernel, alphas=alphas))


def _check_range(name, values):
  # Their squares must be representable in float32.
  in_range = lambda x: 1e-9 <= x <= 1e9
  good = lambda x: (
    (isinstance(x, numbers.Real) or getattr(x, 'shape', None) == ())
    and not tracing.fails(in_range, x)
  )
  if not isinstance(values, tuple | list) or not values:
    raise ValueError(f'{name}={values!r}: must be a non-empty tuple')
  if not all(map(good, values)):
    raise ValueError(f'{name}={values!r}: must all be between 1e-9 and 1e9')
