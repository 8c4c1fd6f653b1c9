"""How a game goes, and plain sentences where it goes wrong.

The numbers are computed now and then, where a picture is drawn, and cost
about as much as a train step or two. A sentence is a hint, no verdict: the
thresholds are in `LIMITS`.
"""

import math
from typing import Any, Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import diagnostics, losses, sampling, training
from gan_jax.training import GANState

THRESHOLDS = {
  # D has won: it is right about this share of real and of generated examples.
  'won': 0.99,
  # ... and the loss passes less than this on to G, per unit of the logit.
  'signal': 0.05,
  # D overfits: it takes so many more of its training examples for real than of
  # held-out ones,
  'gap': 0.3,
  # ... and r_v of Karras et al. 2020 (diagnostics.discriminator_accuracy) is above.
  'overfitting': 0.2,
  # G has collapsed: samples are so much nearer one another than real ones.
  'diversity': 0.2,
}


def nearest_neighbor_diversity(
  samples: jax.Array, real: jax.Array
) -> jax.Array:
  """How far samples are from one another, as a share of what real ones are.

  The median distance to the nearest other sample, divided by the same of as
  many real examples: about 1 where samples are as different as real ones, 0
  where they are all one, low where they crowd round few.

  Args:
    samples: `[n, ...]` float.
    real: `[n, ...]` float.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: for other shapes, or fewer than 2 examples.
  """
  if samples.shape != real.shape or len(samples) < 2:
    raise ValueError(
      f'samples of shape {samples.shape} and real examples of {real.shape}: '
      'must be alike, and 2 or more'
    )

  def nearest(x):
    x = x.reshape(len(x), -1)
    x = x - x.mean(axis=0, keepdims=True)  # products round less near 0
    norms = jnp.square(x).sum(axis=1)
    squares = norms[:, None] + norms[None, :] - 2 * x @ x.T
    others = jnp.where(jnp.eye(len(x), dtype=bool), jnp.inf, squares)
    return jnp.median(jnp.sqrt(jnp.maximum(others.min(axis=1), 0)))

  of_real = nearest(real)
  return nearest(samples) / jnp.where(of_real > 0, of_real, 1)


def make_health_probe(
  gan: training.GAN,
  train: np.ndarray,
  held_out: np.ndarray,
  like: GANState,
  *,
  batch_size: int,
) -> Callable[[GANState], dict[str, float]]:
  """Makes the function that asks both players how they do.

  In evaluation mode, without augmentation or noise, D in batches of the size
  it is trained on (minibatch statistics see that). Where a loss has no
  threshold between real and fake logits, it is the middle of their means.

  Args:
    gan: the game.
    train: real examples that D is trained on, `[n, ...]` float32.
    held_out: real ones that it is not, `[m, ...]`; of both, as many whole
      batches are taken as the smaller one has.
    like: shapes and types of the state.
    batch_size: of a device in training.

  Returns:
    state -> the scalars of diagnostics.discriminator_accuracy, of these and of as many
    samples; 'diversity' of the samples; and 'g_signal', the mean size of the
    gradient of G's loss by the fake logits. For a loss on features, which has
    no logit, the diversity alone; for data of less than a batch, nothing.
  """
  available = min(len(train), len(held_out))
  count = available // batch_size * batch_size
  if count < 2:
    return lambda state: {}
  train, held_out = train[:count], held_out[:count]
  draw = sampling.make_sampler(gan)

  def logits(state, x):
    weights = state.discriminator.params, state.discriminator.batch_stats
    parts = x.reshape(-1, batch_size, *x.shape[1:])
    of_part = lambda part: training.make_logits_fn(gan)(weights, part)
    found = jax.lax.map(of_part, parts)
    return found.reshape(-1, *found.shape[2:])

  @jax.jit
  def measure(state, fake, train, held_out):
    found = {'diversity': nearest_neighbor_diversity(fake, train)}
    loss = gan.resolve_loss(state.hparams, state.step)
    if loss.output == 'features':
      return found
    real_logits, fake_logits = logits(state, train), logits(state, fake)
    decision_threshold = loss.decision_threshold
    if decision_threshold is None:
      decision_threshold = (real_logits.mean() + fake_logits.mean()) / 2
    found |= diagnostics.discriminator_accuracy(
      real_logits,
      fake_logits,
      logits(state, held_out),
      decision_threshold=decision_threshold,
    )
    if loss.output == 'logits':
      total = lambda x: losses.player_loss(
        loss, 'generator', real_logits, x, None
      )
      by_logit = jax.grad(lambda x: total(x).sum())(fake_logits)
      found['g_signal'] = jnp.abs(by_logit).mean()
    return found

  def check(state: GANState) -> dict[str, Any]:
    weights = state.generator.params, state.generator.batch_stats
    fake = draw(weights, count, seed=int(state.step))
    found = jax.device_get(measure(state, fake, train, held_out))
    return {name: float(value) for name, value in found.items()}

  jax.eval_shape(measure, like, train, train, held_out)  # or refuses
  return check


def diagnose(facts: Mapping[str, float]) -> dict[str, str]:
  """What goes wrong in a game.

  Args:
    facts: of make_check; what is missing is not judged.

  Returns:
    'won', 'overfits', 'collapsed' -> a sentence for a person.
  """
  facts = {name: x for name, x in facts.items() if math.isfinite(x)}
  findings = (
    ('won', _discriminator_dominates),
    ('overfits', _discriminator_overfits),
    ('collapsed', _mode_collapse),
  )
  said = {kind: find(facts) for kind, find in findings}
  return {kind: text for kind, text in said.items() if text}


def _discriminator_dominates(facts):
  right = facts.get('d_accuracy_real', 0), facts.get('d_accuracy_fake', 0)
  if min(right) < THRESHOLDS['won']:
    return ''
  signal = facts.get('g_signal', 1.0)
  left = ''
  if signal < THRESHOLDS['signal']:
    left = (
      f', and the loss passes {signal:.2g} of a change of its logits on to G: '
      "there is nothing left to learn from; take loss='non_saturating'"
    )
  return (
    f'D has won: it is right about {right[0]:.1%} of real and {right[1]:.1%} '
    f'of generated examples{left}. A lower d_optimizer.learning_rate, a '
    'gradient penalty (penalties.r1) or a smaller D keeps the game open.'
  )


def _discriminator_overfits(facts):
  over = facts.get('overfitting', 0)
  real, held = (facts.get(f'd_accuracy_{of}', 0) for of in ('real', 'held_out'))
  if over <= THRESHOLDS['overfitting'] or real - held <= THRESHOLDS['gap']:
    return ''
  return (
    f'D overfits: it takes {real:.1%} of its training examples for real and '
    f'{held:.1%} of held-out ones (r_v {over:.2f}). Augmentation '
    "(augment.name='ada'), a gradient penalty or more data help."
  )


def _mode_collapse(facts):
  share = facts.get('diversity', 1.0)
  if share >= THRESHOLDS['diversity']:
    return ''
  return (
    'G makes the same again and again (mode collapse): its samples are '
    f'{share:.2f} times as far from one another as real examples are. '
    'Another loss (rpgan with penalties.r1 and r2), packing or lower learning '
    'rates may spread them.'
  )
