"""Detects failure modes of a GAN and describes them in plain sentences.

The numbers are computed when samples are drawn, and cost about as much as one
or two train steps. A warning is a hint, not a verdict: the thresholds are in
`THRESHOLDS`.
"""

import math
from typing import Any, Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import diagnostics, losses, sampling, training
from gan_jax.training import GANState

THRESHOLDS = {
  # The discriminator dominates if its accuracy on real and on generated
  # examples is at least this.
  'discriminator_dominates': 0.99,
  # The gradient of G's loss by a fake logit is small if it is below this.
  'signal': 0.05,
  # The discriminator overfits if it classifies a larger fraction of its
  # training examples as real than of held-out ones, by more than this,
  'gap': 0.3,
  # and r_v of Karras et al. 2020 (diagnostics.discriminator_accuracy) is above
  # this.
  'overfitting': 0.2,
  # The generator has collapsed if nearest_neighbor_diversity is below this.
  'diversity': 0.2,
}


def nearest_neighbor_diversity(
  samples: jax.Array, real: jax.Array
) -> jax.Array:
  """Computes the nearest-neighbor distance of samples relative to real ones.

  The median distance of samples to their nearest other sample, divided by that
  of equally many real examples: about 1 if samples are as diverse as real
  examples, 0 if all samples are equal, and low if they cluster around a few
  points.

  Args:
    samples: `[n, ...]` float.
    real: `[n, ...]` float.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: if the shapes differ, or there are fewer than 2 examples.
  """
  if samples.shape != real.shape or len(samples) < 2:
    raise ValueError(
      f'samples of shape {samples.shape} and real examples of shape '
      f'{real.shape}: must be equal, with at least 2 examples'
    )

  def nearest(x):
    x = x.reshape(len(x), -1)
    x = x - x.mean(axis=0, keepdims=True)  # less rounding in products near 0
    norms = jnp.square(x).sum(axis=1)
    squares = norms[:, None] + norms[None, :] - 2 * x @ x.T
    others = jnp.where(jnp.eye(len(x), dtype=bool), jnp.inf, squares)
    return jnp.median(jnp.sqrt(jnp.maximum(others.min(axis=1), 0)))

  of_real = nearest(real)
  return nearest(samples) / jnp.where(of_real > 0, of_real, 1)


def make_health_probe(
  gan: training.GAN,
  train: Mapping[str, Any],
  held_out: Mapping[str, Any],
  like: GANState,
  *,
  batch_size: int,
  labels: sampling.LabelFn = lambda indices: None,
) -> Callable[[GANState], dict[str, float]]:
  """Builds a function that measures both players in evaluation mode.

  Augmentation and noise are off. D is applied in batches of its training size,
  on which minibatch statistics depend. If a loss has no threshold between real
  and fake logits, the threshold is the midpoint of their means.

  Args:
    gan: the GAN.
    train: real examples that D is trained on, `{'x': [n, ...] float32,
      'label'?}`.
    held_out: real examples that D is not trained on, likewise. Both sets are
      cut to the number of whole batches of the smaller one.
    like: state with the shapes and dtypes of later ones.
    batch_size: batch size of a device in training.
    labels: function that returns the labels of samples by index.

  Returns:
    Function state -> scalars: those of diagnostics.discriminator_accuracy, on
    these examples and as many samples; 'diversity' of the samples; and
    'g_signal', the mean magnitude of the gradient of G's loss with respect to
    the fake logits. For a loss on features, which has no logits, only the
    diversity; for less than one batch of data, none.
  """
  available = min(len(train['x']), len(held_out['x']))
  count = available // batch_size * batch_size
  if count < 2:
    return lambda state: {}
  cut = lambda side: jax.tree.map(lambda x: x[:count], dict(side))
  train, held_out = cut(train), cut(held_out)
  fake_label = labels(np.arange(count)) if 'label' in train else None
  draw = sampling.make_sampler(gan)

  def logits(state, batch):
    weights = training.player_weights(state.discriminator)
    split = lambda x: jnp.reshape(x, (-1, batch_size, *x.shape[1:]))
    found = jax.lax.map(
      lambda part: training.make_logits_fn(gan)(
        weights, part['x'], part.get('label')
      ),
      jax.tree.map(split, batch),
    )
    return found.reshape(-1, *found.shape[2:])

  @jax.jit
  def measure(state, fake, train, held_out):
    found = {'diversity': nearest_neighbor_diversity(fake['x'], train['x'])}
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
    weights = training.player_weights(state.generator)
    x = draw(weights, count, seed=int(state.step), label=fake_label)
    fake = {'x': x} | ({} if fake_label is None else {'label': fake_label})
    found = jax.device_get(measure(state, fake, train, held_out))
    return {name: float(value) for name, value in found.items()}

  jax.eval_shape(measure, like, train, train, held_out)  # raises shape errors
  return check


def diagnose(facts: Mapping[str, float]) -> dict[str, str]:
  """Describes detected failure modes.

  Args:
    facts: scalars from the function of make_health_probe; failure modes whose
      scalars are missing are not checked.

  Returns:
    'discriminator_dominates', 'discriminator_overfits', 'mode_collapse' -> a
    warning in one or more sentences, for each that is detected.
  """
  facts = {name: x for name, x in facts.items() if math.isfinite(x)}
  findings = (
    ('discriminator_dominates', _discriminator_dominates),
    ('discriminator_overfits', _discriminator_overfits),
    ('mode_collapse', _mode_collapse),
  )
  said = {kind: find(facts) for kind, find in findings}
  return {kind: text for kind, text in said.items() if text}


def _discriminator_dominates(facts):
  right = facts.get('d_accuracy_real', 0), facts.get('d_accuracy_fake', 0)
  if min(right) < THRESHOLDS['discriminator_dominates']:
    return ''
  signal = facts.get('g_signal', 1.0)
  left = ''
  if signal < THRESHOLDS['signal']:
    left = (
      f". The gradient of G's loss by the logits is only {signal:.2g}, too "
      "small to learn from: use loss='non_saturating'"
    )
  return (
    f'The discriminator dominates: it classifies {right[0]:.1%} of real and '
    f'{right[1]:.1%} of generated examples correctly{left}. A lower '
    'd_optimizer.learning_rate, a gradient penalty (penalties.r1) or a smaller '
    'discriminator may restore the balance.'
  )


def _discriminator_overfits(facts):
  over = facts.get('overfitting', 0)
  real, held = (facts.get(f'd_accuracy_{of}', 0) for of in ('real', 'held_out'))
  if over <= THRESHOLDS['overfitting'] or real - held <= THRESHOLDS['gap']:
    return ''
  return (
    f'The discriminator overfits: it classifies {real:.1%} of its training '
    f'examples and {held:.1%} of held-out examples as real (r_v {over:.2f}). '
    "Augmentation (augment.name='ada'), a gradient penalty or more data may "
    'help.'
  )


def _mode_collapse(facts):
  share = facts.get('diversity', 1.0)
  if share >= THRESHOLDS['diversity']:
    return ''
  return (
    'Possible mode collapse: the median nearest-neighbor distance among '
    f'samples is {share:.2f} of that among real examples. Another loss (rpgan '
    'with penalties.r1 and r2), packing or lower learning rates may help.'
  )
