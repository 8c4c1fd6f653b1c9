"""Projects examples on a generator: finds latents or styles that make them."""

import functools
from typing import Callable, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

Array = jax.Array

_AT_ONCE = 64  # starts
_SMALLEST = 4  # side of the coarsest images that are compared


class Projection(NamedTuple):
  """Points whose samples are near the targets.

  Attributes:
    points: latents or styles, `[N, ...]`.
    distances: distances of their samples to the targets, `[N]`.
    start_distances: those of the best start, `[N]`.
  """

  points: Array
  distances: Array
  start_distances: Array


def pyramid_distance(x: Array, y: Array) -> Array:
  """Computes the mean squared error, summed over several scales.

  Images are halved in both sides as long as none is below 4 pixels, so that the
  coarse shape attracts before the pixels overlap. Other examples, and smaller
  images, are compared at their own scale.

  Args:
    x: examples, `[B, ...]`, float.
    y: others, likewise.

  Returns:
    `[B]`.
  """
  chex.assert_equal_shape([x, y])
  total = jnp.square(x - y).reshape(len(x), -1).mean(axis=1)
  if x.ndim != 4:
    return total
  halve = lambda x: jax.image.resize(
    x, (len(x), x.shape[1] // 2, x.shape[2] // 2, x.shape[3]), 'linear'
  )
  while min(x.shape[1:3]) // 2 >= _SMALLEST:
    x, y = halve(x), halve(y)
    total = total + jnp.square(x - y).mean(axis=(1, 2, 3))
  return total


def norm_prior(latents: Array) -> Array:
  """Computes how far the norm of latents is from that of normal ones.

  (|z| / sqrt(Z) - 1)^2.

  Args:
    latents: latents, `[B, Z]`, float.

  Returns:
    `[B]`.
  """
  chex.assert_rank(latents, 2)
  scale = jnp.sqrt(jnp.square(latents).mean(axis=1) + 1e-12)
  return jnp.square(scale - 1)


def no_prior(points: Array) -> Array:
  """Returns zeros, `[B]`: a prior for styles and for bounded latents.

  Args:
    points: latents or styles, `[B, ...]`.
  """
  return jnp.zeros(len(points))


def anywhere(points: Array) -> Array:
  """Returns the points: no constraint.

  Args:
    points: latents or styles, `[B, ...]`.
  """
  return points


def project(
  generate: Callable[[Array], Array],
  targets: Array,
  starts: Array,
  distance: Callable[[Array, Array], Array] = pyramid_distance,
  *,
  restarts: int = 4,
  steps: int = 300,
  learning_rate: float = 0.1,
  prior: Callable[[Array], Array] = norm_prior,
  prior_weight: float = 1e-3,
  constrain: Callable[[Array], Array] = anywhere,
) -> Projection:
  """Finds points whose samples are nearest to given examples.

  Of many starts, the best few of each target are improved by Adam, whose
  learning rate falls to 0 as a cosine, all of them in one program; the best of
  them is returned. A single start often ends in a local minimum.

  Args:
    generate: function from points `[B, ...]` to examples `[B, *shape]`. As a
      jax.tree_util.Partial of weights, it does not make them constants of the
      program.
    targets: examples to find, `[N, *shape]`, images in [-1, 1].
    starts: drawn latents or styles, `[S, ...]`, such as 2,048 of them.
    distance: function (examples, examples) -> `[B]`, at least 0.
    restarts: number of starts that are improved, for each target.
    steps: steps of Adam.
    learning_rate: first learning rate, in standard deviations of the starts.
    prior: function of points -> `[B]`, what makes them untypical.
    prior_weight: its weight in the objective.
    constrain: function that moves points to where they must lie, such as
      uniform latents to [-1, 1]; applied after each step.

  Returns:
    The projection.

  Raises:
    ValueError: if steps or restarts are below 1, there are fewer starts than
      restarts, or targets have another shape than examples.

  References:
    Zhu et al., Generative Visual Manipulation on the Natural Image Manifold,
    https://arxiv.org/abs/1609.03552, 2016, section 3.1. Karras et al., Analyzing
    and Improving the Image Quality of StyleGAN,
    https://arxiv.org/abs/1912.04958, 2020, appendix D.
  """
  if steps < 1 or not 1 <= restarts <= len(starts):
    raise ValueError(
      f'steps={steps}, restarts={restarts}: must be at least 1, and at most '
      f'{len(starts)} restarts, the number of starts'
    )
  shape = jax.eval_shape(generate, starts[:1]).shape[1:]
  if targets.shape[1:] != shape:
    raise ValueError(
      f'targets of shape {targets.shape[1:]}: the generator makes {shape}'
    )
  as_partial = lambda f: (
    f if isinstance(f, jax.tree_util.Partial) else jax.tree_util.Partial(f)
  )
  return _project(
    (prior, constrain, restarts, steps),
    (as_partial(generate), as_partial(distance)),
    jnp.asarray(targets),
    jnp.asarray(starts),
    jnp.float32(learning_rate),
    jnp.float32(prior_weight),
  )


def _distances(generate, distance, targets, starts):
  """Returns the distances of all targets to all starts, `[N, S]`.

  The examples of all starts are never in memory at once.
  """
  at_once = max(n for n in range(1, _AT_ONCE + 1) if len(starts) % n == 0)

  def to_targets(points):
    examples = generate(points)
    to_one = lambda target: distance(
      jnp.broadcast_to(target, examples.shape), examples
    )
    return jax.lax.map(to_one, targets)  # [N, at_once]

  parts = starts.reshape(-1, at_once, *starts.shape[1:])
  found = jax.lax.map(to_targets, parts)
  return found.swapaxes(0, 1).reshape(len(targets), -1)


@functools.partial(jax.jit, static_argnums=0)
def _project(static, functions, targets, starts, learning_rate, prior_weight):
  """Runs all starts of all targets as one batch."""
  (prior, constrain, restarts, steps), (generate, distance) = static, functions
  from_starts = _distances(generate, distance, targets, starts)
  best = jnp.argsort(from_starts, axis=1)[:, :restarts]
  points = starts[best.reshape(-1)]
  repeated = jnp.repeat(targets, restarts, axis=0)
  rate = learning_rate * starts.std()
  optimizer = optax.adam(optax.cosine_decay_schedule(rate, steps))

  def objective(points):
    found = distance(generate(points), repeated)
    return (found + prior_weight * prior(points)).sum()

  def step(carry, _):
    points, state = carry
    updates, state = optimizer.update(jax.grad(objective)(points), state)
    return (constrain(optax.apply_updates(points, updates)), state), None

  carry = points, optimizer.init(points)
  (points, _), _ = jax.lax.scan(step, carry, None, steps)
  found = distance(generate(points), repeated)
  # Adam leaves a start that is the target itself.
  first, at_start = starts[best.reshape(-1)], jnp.sort(from_starts, axis=1)
  at_start = at_start[:, :restarts].reshape(-1)
  worse = (found > at_start).reshape(-1, *[1] * (points.ndim - 1))
  points = jnp.where(worse, first, points)
  found = jnp.minimum(found, at_start).reshape(-1, restarts)
  chosen = found.argmin(axis=1)
  rows = np.arange(len(targets))
  points = points.reshape(-1, restarts, *points.shape[1:])
  return Projection(
    points[rows, chosen], found[rows, chosen], from_starts.min(axis=1)
  )
