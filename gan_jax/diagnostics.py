"""For the study of a game: its vector field, and how well D tells apart.

Pure functions, none of which training needs. Parameters are trees of float
arrays, the generator's before the discriminator's; losses are what the
players minimise, (g_params, d_params) -> scalar. Logits are positive for real.

Near a stationary point simultaneous gradient descent of small steps converges
where every eigenvalue of the field's Jacobian has a negative real part; with
an imaginary part it turns as it goes, and on the imaginary axis it circles.
"""

from typing import Any, Callable

import chex
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np

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

_MAX_PARAMETERS = 2000  # a dense matrix of 16 MB, seconds for its eigenvalues


def vector_field(d_loss: Loss, g_loss: Loss) -> Field:
  """The direction in which gradient descent moves both players at once.

  v(g, d) = (-d g_loss / d g, -d d_loss / d d)

  Args:
    d_loss: what the discriminator minimises, (g_params, d_params) -> scalar,
      its penalties included.
    g_loss: what the generator minimises, of the same arguments.

  Returns:
    (g_params, d_params) -> trees like them. It raises TypeError where a loss
    is not a scalar.

  References:
    Mescheder et al., The Numerics of GANs, https://arxiv.org/abs/1705.10461,
    2017, eq. 2 (there as utilities that the players maximise).
  """

  def field(g_params, d_params):
    g_grads = jax.grad(g_loss, argnums=0)(g_params, d_params)
    d_grads = jax.grad(d_loss, argnums=1)(g_params, d_params)
    return jax.tree.map(jnp.negative, (g_grads, d_grads))

  return field


def game_jacobian(field: Field, g_params: PyTree, d_params: PyTree) -> Array:
  """Jacobian of a vector field over all parameters, as one matrix.

  Row i holds the derivatives of the field's i-th entry. Trees are laid out as
  `jax.flatten_util.ravel_pytree` does, the generator's entries first.

  Args:
    field: as vector_field makes it.
    g_params: the generator's parameters, where to differentiate.
    d_params: the discriminator's.

  Returns:
    `[n, n]`, n the number of parameters of both players.

  Raises:
    ValueError: for more than 2000 parameters.

  References:
    Mescheder et al., Which Training Methods for GANs do actually Converge?,
    https://arxiv.org/abs/1801.04406, 2018, section 2.2.
  """
  flat, unravel = jax.flatten_util.ravel_pytree((g_params, d_params))
  if flat.size > _MAX_PARAMETERS:
    raise ValueError(
      f'the players have {flat.size} parameters: the Jacobian is a full '
      f'matrix, of at most {_MAX_PARAMETERS} rows'
    )

  def flat_field(parameters):
    return jax.flatten_util.ravel_pytree(field(*unravel(parameters)))[0]

  # Reverse mode: on CPU our convolutions have no other.
  return jax.jacrev(flat_field)(flat)


def eigenvalues(field: Field, g_params: PyTree, d_params: PyTree) -> np.ndarray:
  """Eigenvalues of a vector field's Jacobian, computed on the host.

  Args:
    field: as vector_field makes it.
    g_params: the generator's parameters, where to differentiate.
    d_params: the discriminator's.

  Returns:
    `[n]` complex128, sorted by real part and then by imaginary part: the last
    one decides on convergence. The Jacobian is of the parameters' precision,
    the eigenvalues of it are computed in float64; a double eigenvalue is right
    to the square root of that precision.

  Raises:
    ValueError: for more than 2000 parameters, or a Jacobian that is not
      finite.

  References:
    Mescheder et al., Which Training Methods for GANs do actually Converge?,
    https://arxiv.org/abs/1801.04406, 2018, sections 2 and 3: those of the
    Dirac-GAN, with and without penalties.
  """
  matrix = np.asarray(game_jacobian(field, g_params, d_params), np.float64)
  if not np.isfinite(matrix).all():
    raise ValueError('the Jacobian is not finite: it has no eigenvalues')
  return np.sort_complex(np.linalg.eigvals(matrix))


def density_ratio_error(logits: Array, log_p: Array, log_q: Array) -> Array:
  """How far logits are from the optimal discriminator's.

  |logits - (log p(x) - log q(x))|

  The cross-entropy game's optimal discriminator of data p and generator q has
  the logit log p(x) / q(x). Where both densities are known, this is how much
  the discriminator still has to learn.

  Args:
    logits: the discriminator at some points, `[B]`, float.
    log_p: log density of the data at the same points, `[B]`, float, in nats.
    log_q: log density of the generator, likewise.

  Returns:
    The distance at each point, `[B]`, in nats, at least 0; NaN where both
    densities are 0.

  Raises:
    AssertionError: for other or different shapes, or not floating point.

  References:
    Goodfellow et al., Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661, 2014, eq. 2.
  """
  chex.assert_rank([logits, log_p, log_q], 1)
  chex.assert_equal_shape([logits, log_p, log_q])
  chex.assert_type([logits, log_p, log_q], float)
  return jnp.abs(logits - (log_p - log_q))


def cosine_similarity(tree_a: PyTree, tree_b: PyTree) -> Array:
  """Cosine of the angle between two trees, each taken as one long vector.

  Of the gradients of two losses: 1 where they pull the same way, -1 where
  each undoes the other.

  Args:
    tree_a: tree of float arrays.
    tree_b: tree of the same structure and shapes.

  Returns:
    Scalar in [-1, 1], in at least float32; 0 where either tree is zero
    throughout, or empty, and NaN where one is not finite.

  Raises:
    AssertionError: where the trees differ in structure, shapes or types, or
      have leaves that are not floating point.
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
  """A vector with a largest entry of about 1, lest squares end at 0 or inf."""
  x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  _, exponent = jnp.frexp(jnp.abs(x).max(initial=0))
  # A power of two: it rounds nothing.
  return x * jnp.ldexp(jnp.ones((), x.dtype), -jnp.clip(exponent, -120, 120))


def discriminator_accuracy(
  real_logits: Array,
  fake_logits: Array,
  held_out_logits: Array | None = None,
  *,
  decision_threshold: float = 0.0,
) -> dict[str, Array]:
  """Share of examples on the right side; with held-out ones, overfitting.

  overfitting = (E[real] - E[held_out]) / (E[real] - E[fake])

  A discriminator that has learnt its examples by heart takes held-out real
  ones for fakes: `d_accuracy_real` well above `d_accuracy_held_out`, and the
  ratio, r_v of the paper, near 1. Without it the ratio is about 0; on few
  examples it scatters round that, below 0 too.

  Args:
    real_logits: the discriminator on training examples, `[...]`, float.
    fake_logits: on generated ones, `[...]`, float, of any other shape.
    held_out_logits: on real examples that it was not trained on, or None.
    decision_threshold: logits above count as real, those below as fake, one that is
      equal as neither. 0 is the cross-entropy game's; a game that depends on
      differences of logits alone has none.

  Returns:
    Float32 scalars: 'd_accuracy_real', 'd_accuracy_fake' in [0, 1], and with
    held-out examples 'd_accuracy_held_out' in [0, 1] and 'overfitting', 0
    where the means of real and fake are equal.

  Raises:
    AssertionError: for logits not floating point.
    ValueError: for no logits.

  References:
    Karras et al., Training Generative Adversarial Networks with Limited Data,
    https://arxiv.org/abs/2006.06676, 2020, eq. 1.
  """
  chex.assert_type([real_logits, fake_logits], float)
  for logits in (real_logits, fake_logits, held_out_logits):
    if logits is not None and not logits.size:
      raise ValueError(f'no share of no logits, of shape {logits.shape}')
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
