"""The game: two networks, a loss, and the players' losses as one function.

Every update rule is built on `player_losses`. It sees one device's part of
the batch; `axis_name` is the only trace of the others.
"""

import dataclasses
import zlib
from typing import Any, Callable, Mapping, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gan_jax import latents as latents_lib
from gan_jax.losses import AdversarialLoss
from gan_jax.networks import Network
from gan_jax.state import GANState

Array = jax.Array
PyTree = Any
Batch = Mapping[str, Array]
Metrics = dict[str, Array]
# A transform, or how to build one from `state.hyper`.
Optimizer = (
  optax.GradientTransformation
  | Callable[[Mapping[str, Any]], optax.GradientTransformation]
)

# What each key of a step is folded with, by purpose.
_LATENTS, _TERMS, _NETWORKS = range(3)
_GENERATOR, _DISCRIMINATOR = range(2)  # and beyond: D is applied in parts


class Context(NamedTuple):
  """What a loss term may read.

  Attributes:
    real: real examples, `[B, ...]`.
    fake: generated examples, `[B, ...]`.
    latents: `[B, Z]`.
    label: `[B]` int32, or None.
    real_logits: the discriminator on real.
    fake_logits: the discriminator on fake.
    logits_fn: x -> logits, the discriminator as in training; its change of
      statistics is dropped.
    generate_fn: latents -> examples, likewise.
    g_params: the generator's parameters.
    d_params: the discriminator's parameters.
    axis_name: the mapped axis of devices, or None.
  """

  real: Array
  fake: Array
  latents: Array
  label: Array | None
  real_logits: Array
  fake_logits: Array
  logits_fn: Callable[[Array], Array]
  generate_fn: Callable[[Array], Array]
  g_params: PyTree
  d_params: PyTree
  axis_name: str | None


class Term(NamedTuple):
  """A penalty as the steps see it; its weight is `hyper[f'{name}_weight']`.

  Attributes:
    apply: (context, keys [B], extra) -> (values [B], new extra). On several
      devices the new extra becomes its mean over them where it is floating
      point; an integer must come out the same on all.
    extra: the arrays it starts with, if it has a memory.
  """

  apply: Callable[[Context, Array, PyTree], tuple[Array, PyTree]]
  extra: PyTree = ()


@dataclasses.dataclass(frozen=True)
class GAN:
  """A game between two networks. Static: it holds no arrays.

  Attributes:
    generator: latents to examples.
    discriminator: examples to logits.
    loss: what each player minimises.
    latent_dim: length of z ~ N(0, I).
    g_optimizer: an optax transform, or a function of `state.hyper` to one.
    d_optimizer: likewise.
    d_terms: penalties on the discriminator, by name.
    g_terms: penalties on the generator, by name.
    joint_batch: whether the discriminator takes real and fake as one batch
      (batch norm then mixes them) or one after the other.
    d_scale: factor on the discriminator's adversarial loss (D2L: 1/2).
    g_scale: factor on the generator's.
    batch_scale: factor on both gradients that the metrics do not show; the
      size of the global batch makes sums of means.
  """

  generator: Network
  discriminator: Network
  loss: AdversarialLoss
  latent_dim: int
  g_optimizer: Optimizer
  d_optimizer: Optimizer
  d_terms: Mapping[str, Term] = dataclasses.field(default_factory=dict)
  g_terms: Mapping[str, Term] = dataclasses.field(default_factory=dict)
  joint_batch: bool = False
  d_scale: float = 1.0
  g_scale: float = 1.0
  batch_scale: float = 1.0

  def __post_init__(self):
    both = sorted(set(self.d_terms) & set(self.g_terms))
    if both:
      raise ValueError(
        f'the terms {both} are in d_terms and in g_terms; each needs a name of '
        'its own, for its weight and its memory'
      )

  def g_transform(self, hyper) -> optax.GradientTransformation:
    """The generator's optax transform under these hyper-parameters."""
    return _transform(self.g_optimizer, hyper)

  def d_transform(self, hyper) -> optax.GradientTransformation:
    """The discriminator's optax transform under these hyper-parameters."""
    return _transform(self.d_optimizer, hyper)


def _transform(optimizer, hyper):
  is_transform = isinstance(optimizer, optax.GradientTransformation)
  return optimizer if is_transform else optimizer(hyper)


class Aux(NamedTuple):
  """What a pass through the game yields beside the two losses.

  Attributes:
    g_stats: the generator's new statistics.
    d_stats: the discriminator's.
    extra: the new memory of the terms.
    d_metrics: scalars about the discriminator's loss.
    g_metrics: scalars about the generator's.
  """

  g_stats: PyTree
  d_stats: PyTree
  extra: dict[str, PyTree]
  d_metrics: Metrics
  g_metrics: Metrics


def _check_logits(logits: Array, examples: Array) -> None:
  batch = examples.shape[0]
  if logits.shape[:1] != (batch,) or logits.ndim not in (1, 3):
    raise ValueError(
      f'the discriminator returned logits of shape {logits.shape} for '
      f'{batch} examples; allowed are ({batch},), and ({batch}, h, w) for '
      'patches. A last axis of 1 must be squeezed.'
    )


def _check_fake(fake: Array, real: Array) -> None:
  if fake.shape != real.shape or fake.dtype != real.dtype:
    raise ValueError(
      f'the generator made {fake.dtype}{list(fake.shape)} and the data are '
      f'{real.dtype}{list(real.shape)}; both must be the same'
    )


def _play(
  gan, axis_name, g_params, d_params, state, batch, key, indices
) -> tuple[Context, PyTree, PyTree]:
  """Both networks on one batch: the context, new statistics of G and of D."""
  real, label = batch['x'], batch.get('label')
  # Another key for each device and each micro-batch.
  network_key = jax.random.fold_in(
    jax.random.fold_in(key, _NETWORKS), indices[0]
  )
  common = dict(train=True, axis_name=axis_name)

  def generate(latents):
    g_key = jax.random.fold_in(network_key, _GENERATOR)
    stats = state.generator.stats
    return gan.generator.apply(
      g_params, stats, latents, label, key=g_key, **common
    )

  def discriminate(stats, x, label, part=0):
    d_key = jax.random.fold_in(network_key, _DISCRIMINATOR + part)
    logits, stats = gan.discriminator.apply(
      d_params, stats, x, label, key=d_key, **common
    )
    _check_logits(logits, x)
    return logits, stats

  latent_keys = latents_lib.example_keys(
    jax.random.fold_in(key, _LATENTS), indices
  )
  latents = latents_lib.normal(latent_keys, gan.latent_dim)
  fake, g_stats = generate(latents)
  _check_fake(fake, real)
  d_stats = state.discriminator.stats
  if gan.joint_batch:
    twice = lambda a, b: None if a is None else jnp.concatenate([a, b])
    both, d_stats = discriminate(
      d_stats, twice(real, fake), twice(label, label)
    )
    real_logits, fake_logits = jnp.split(both, 2)
  else:
    real_logits, d_stats = discriminate(d_stats, real, label)
    fake_logits, d_stats = discriminate(d_stats, fake, label, 1)
  context = Context(
    real=real,
    fake=fake,
    latents=latents,
    label=label,
    real_logits=real_logits,
    fake_logits=fake_logits,
    logits_fn=lambda x: discriminate(state.discriminator.stats, x, label, 2)[0],
    generate_fn=lambda z: generate(z)[0],
    g_params=g_params,
    d_params=d_params,
    axis_name=axis_name,
  )
  return context, g_stats, d_stats


def _add_terms(loss, terms, context, state, key, indices):
  """The loss with the weighted terms, their metrics, their new memory."""
  metrics, extra = {}, {}
  for name, term in sorted(terms.items()):
    # A term's noise is its own, whatever other terms there are.
    name_key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    term_keys = latents_lib.example_keys(name_key, indices)
    values, extra[name] = term.apply(context, term_keys, state.extra[name])
    if values.shape != indices.shape:
      raise ValueError(
        f'the term {name!r} returned values of shape {values.shape}; must be '
        f'one per example, {indices.shape}'
      )
    metrics[name] = values.mean()
    loss = loss + state.hyper[f'{name}_weight'] * metrics[name]
  return loss, metrics, extra


def player_losses(
  gan: GAN, axis_name: str | None = None
) -> Callable[..., tuple[Array, Array, Aux]]:
  """Makes the function that is the game.

  The losses are means over this device's examples. Differentiate the first by
  d_params and the second by g_params; XLA drops what neither needs.

  Args:
    gan: the game.
    axis_name: the mapped axis of devices; None for one device.

  Returns:
    (g_params, d_params, state, batch, key, indices=None) -> (d_loss, g_loss,
    aux). Parameters come from the arguments, statistics and hyper-parameters
    from the state. The batch is `{'x': [B, ...], 'label'?}`; indices `[B]` are
    the examples' places in the global batch, None for the natural ones.

  Raises:
    ValueError: when traced, where generated examples do not match the data
      or logits are not one per example.
  """

  def losses(g_params, d_params, state: GANState, batch, key, indices=None):
    if indices is None:
      indices = latents_lib.global_indices(batch['x'].shape[0], axis_name)
    context, g_stats, d_stats = _play(
      gan, axis_name, g_params, d_params, state, batch, key, indices
    )
    logits = context.real_logits, context.fake_logits
    d_loss = gan.d_scale * gan.loss.discriminator(*logits).mean()
    g_loss = gan.g_scale * gan.loss.generator(*logits).mean()
    real_right, fake_right = (logits[0] > 0).mean(), (logits[1] < 0).mean()
    d_metrics = {
      'd_loss': d_loss,
      'd_real': logits[0].mean(),
      'd_fake': logits[1].mean(),
      'd_accuracy': (real_right + fake_right) / 2,
    }
    g_metrics = {'g_loss': g_loss}
    rest = context, state, jax.random.fold_in(key, _TERMS), indices
    d_loss, d_terms, d_extra = _add_terms(d_loss, gan.d_terms, *rest)
    g_loss, g_terms, g_extra = _add_terms(g_loss, gan.g_terms, *rest)
    return (
      d_loss,
      g_loss,
      Aux(
        g_stats=g_stats,
        d_stats=d_stats,
        extra={**state.extra, **d_extra, **g_extra},
        d_metrics=d_metrics | d_terms,
        g_metrics=g_metrics | g_terms,
      ),
    )

  return losses
