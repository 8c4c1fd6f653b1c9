"""Diagnostics of a GAN: its vector field, and discriminator accuracy.

Pure functions that training does not need. Parameters are trees of float
arrays, the generator's before the discriminator's. Losses are minimized and
are functions (g_params, d_params) -> scalar. Logits are positive for real.

Near a stationary point, simultaneous gradient descent with small steps
converges if every eigenvalue of the field's Jacobian has a negative real part.
With an imaginary part it spirals, and on the imaginary axis it circles.
"""

from typing import Any, Callable

import chex
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np

from gan_jax import tracing

__all__ = [
  'cosine_similarity',
  'density_ratio_error',
  'discriminator_accuracy',
  'eigenvalues',
  'game_jacobian',
  'vector_field',
]

Array = jax.Array
PyTree = Any
Loss = Callable[[PyTree, PyTree], Array]
Field = Callable[[PyTree, PyTree], tuple[PyTree, PyTree]]

_MAX_PARAMETERS = 2000  # a dense 16 MB matrix, whose eigenvalues take seconds


def vector_field(d_loss: Loss, g_loss: Loss) -> Field:
  """Builds the vector field of simultaneous gradient descent.

  v(g, d) = (-d g_loss / d g, -d d_loss / d d)

  Args:
    d_loss: loss of the discriminator, (g_params, d_params) -> scalar, including
      its penalties.
    g_loss: loss of the generator, with the same arguments.

  Returns:
    Function (g_params, d_params) -> trees of the same structure. It raises
    TypeError if a loss is not a scalar.

  References:
    Mescheder et al., The Numerics of GANs, https://arxiv.org/abs/1705.10461,
    2017, eq. 2 (there with utilities that the players maximize).
  """

  def field(g_params, d_params):
    g_grads = jax.grad(g_loss, argnums=0)(g_params, d_params)
    d_grads = jax.grad(d_loss, argnums=1)(g_params, d_params)
    return jax.tree.map(jnp.negative, (g_grads, d_grads))

  return field


def game_jacobian(field: Field, g_params: PyTree, d_params: PyTree) -> Array:
  """Computes the Jacobian of a vector field over all parameters.

  Row i holds the derivatives of the field's i-th entry. Trees are flattened by
  `jax.flatten_util.ravel_pytree`, the generator's entries first.

  Args:
    field: vector field from vector_field.
    g_params: generator parameters at which to differentiate.
    d_params: discriminator parameters at which to differentiate.

  Returns:
    Matrix `[n, n]`, n the number of parameters of both players.

  Raises:
    ValueError: if there are more than 2000 parameters.

  References:
    Mescheder et al., Which Training Methods for GANs do actually Converge?,
    https://arxiv.org/abs/1801.04406, 2018, section 2.2.
  """
  flat, unravel = jax.flatten_util.ravel_pytree((g_params, d_params))
  if flat.size > _MAX_PARAMETERS:
    raise ValueError(
      f'the networks have {flat.size} parameters: the Jacobian is a dense '
      f'matrix, with at most {_MAX_PARAMETERS} rows'
    )

  def flat_field(parameters):
    return jax.flatten_util.ravel_pytree(field(*unravel(parameters)))[0]

  # Reverse mode: on CPU, layers.convolution supports no other.
  return jax.jacrev(flat_field)(flat)


def eigenvalues(field: Field, g_params: PyTree, d_params: PyTree) -> np.ndarray:
  """Computes the eigenvalues of a vector field's Jacobian, on the host.

  Args:
    field: vector field from vector_field.
    g_params: generator parameters at which to differentiate.
    d_params: discriminator parameters at which to differentiate.

  Returns:
    Eigenvalues, `[n]`, complex128, sorted by real part and then by imaginary
    part: the last one determines convergence. The Jacobian has the precision
    of the parameters, and its eigenvalues are computed in float64. A double
    eigenvalue is accurate to the square root of that precision.

  Raises:
    ValueError: if there are more than 2000 parameters, or the Jacobian is not
      finite.
    TypeError: if the parameters are traced, as inside jax.jit.

  References:
    Mescheder et al., Which Training Methods for GANs do actually Converge?,
    https://arxiv.org/abs/1801.04406, 2018, sections 2 and 3 (eigenvalues of
    the Dirac-GAN, with and without penalties).
  """
  tracing.check_known(
    'diagnostics.eigenvalues',
    'game_jacobian can be traced.',
    g_params=g_params,
    d_params=d_params,
  )
  with jax.ensure_compile_time_eval():
    matrix = np.asarray(game_jacobian(field, g_params, d_params), np.float64)
  if not np.isfinite(matrix).all():
    raise ValueError('the Jacobian is not finite: it has no eigenvalues')
  return np.sort_complex(np.linalg.eigvals(matrix))


def density_ratio_error(logits: Array, log_p: Array, log_q: Array) -> Array:
  """Computes the distance of logits from those of the optimal discriminator.

  |logits - (log p(x) - log q(x))|

  For the cross-entropy loss, the optimal discriminator of data p and generator
  q has the logit log p(x) / q(x). If both densities are known, this distance
  measures how much the discriminator has left to learn.

  Args:
    logits: discriminator logits of some points, `[B]`, float.
    log_p: log density of the data at these points, `[B]`, float, in nats.
    log_q: log density of the generator at these points, `[B]`, float, in nats.

  Returns:
    Distance at each point, `[B]`, in nats, at least 0; NaN if both densities
    are 0.

  Raises:
    AssertionError: if an argument is not `[B]` or not floating point.

  References:
    Goodfellow et al., Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661, 2014, eq. 2.
  """
  chex.assert_rank([logits, log_p, log_q], 1)
  chex.assert_equal_shape([logits, log_p, log_q])
  chex.assert_type([logits, log_p, log_q], float)
  return jnp.abs(logits - (log_p - log_q))


def cosine_similarity(tree_a: PyTree, tree_b: PyTree) -> Array:
  """Computes the cosine similarity of two trees, each taken as one vector.

  For gradients of two losses it is 1 if they have the same direction and -1 if
  they have opposite directions.

  Args:
    tree_a: tree of float arrays.
    tree_b: tree of the same structure and shapes.

  Returns:
    Scalar in [-1, 1], in at least float32; 0 if either tree is all zeros or
    empty, and NaN if one is not finite.

  Raises:
    AssertionError: if the trees differ in structure, shapes or types, or have
      leaves that are not floating point.
  """
  chex.assert_trees_all_equal_shapes_and_dtypes(tree_a, tree_b)
  chex.assert_type(jax.tree.leaves(tree_a), float)
  a, b = (
    _scaled_to_unit(jax.flatten_util.ravel_pytree(t)[0])
    for t in (tree_a, tree_b)
  )
  norms = jnp.linalg.norm(a) * jnp.linalg.norm(b)
  ratio = jnp.vdot(a, b) / jnp.where(norms > 0, norms, 1)
  return jnp.clip(ratio, -1, 1)


def _scaled_to_unit(x: Array) -> Array:
  """Scales the largest entry to about 1, so that squares stay in range."""
  x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  _, exponent = jnp.frexp(jnp.abs(x).max(initial=0))
  # A power of two scales without rounding.
  return x * jnp.ldexp(jnp.ones((), x.dtype), -jnp.clip(exponent, -120, 120))


def discriminator_accuracy(
  real_logits: Array,
  fake_logits: Array,
  held_out_logits: Array | None = None,
  *,
  decision_threshold: float = 0.0,
) -> dict[str, Array]:
  """Computes the discriminator's accuracy and, if possible, overfitting.

  overfitting = (E[real] - E[held_out]) / (E[real] - E[fake])

  A discriminator that has memorized its training examples classifies held-out
  real examples as fake. Then `d_accuracy_real` is well above
  `d_accuracy_held_out`, and the ratio, r_v of the paper, is near 1. Without
  overfitting the ratio is about 0; with few examples it scatters around 0.

  Args:
    real_logits: discriminator logits of training examples, `[...]`, float.
    fake_logits: discriminator logits of generated examples, `[...]`, float,
      of any shape.
    held_out_logits: discriminator logits of real examples that it was not
      trained on, `[...]`, float, or None.
    decision_threshold: logits above it count as real, logits below it as fake,
      equal ones as neither. It is 0 for the cross-entropy; losses that depend
      only on differences of logits have none.

  Returns:
    Float32 scalars: 'd_accuracy_real', 'd_accuracy_fake' in [0, 1], and with
    held-out examples 'd_accuracy_held_out' in [0, 1] and 'overfitting', 0 if
    the means of real and fake logits are equal.

  Raises:
    AssertionError: if logits are not floating point.
    ValueError: if there are no logits.

  References:
    Karras et al., Training Generative Adversarial Networks with Limited Data,
    https://arxiv.org/abs/2006.06676, 2020, eq. 1.
  """
  chex.assert_type([real_logits, fake_logits], float)
  for logits in (real_logits, fake_logits, held_out_logits):
    if logits is not None and not logits.size:
      raise ValueError(f'logits of shape {logits.shape}: must not be empty')
  share = lambda right: right.mean(dtype=jnp.float32)
  metrics = {
    'd_accuracy_real': share(real_logits > decision_threshold),
    'd_accuracy_fake': share(fake_logits < decision_threshold),
  }
  if held_out_logits is None:
    return metrics
  chex.assert_type(held_out_logits, float)
  mean = lambda logits: logits.mean(dtype=jnp.float32)
  real = mean(real_logits)
  gap, whole = real - mean(held_out_logits), real - mean(fake_logits)
  return metrics | {
    'd_accuracy_held_out': share(held_out_logits > decision_threshold),
    'overfitting': jnp.where(whole == 0, 0, gap / jnp.where(whole, whole, 1)),
  }
