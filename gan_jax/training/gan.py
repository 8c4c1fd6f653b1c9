"""What a game is: two networks, a loss, and what goes with them.

Static descriptions; gan_losses.make_gan_losses makes the game itself of them.
"""

import dataclasses
from typing import Any, Callable, Mapping, NamedTuple

import jax
import optax

from gan_jax import losses
from gan_jax.losses import AdversarialLoss
from gan_jax.networks import Network

Array = jax.Array
PyTree = Any
Hparams = Mapping[str, Any]
Batch = Mapping[str, Array]
Metrics = dict[str, Array]
# A transform, or how to build one from `state.hparams`.
Optimizer = (
  optax.GradientTransformation
  | Callable[[Hparams], optax.GradientTransformation]
)


# Names in the metrics and in `state.aux_state` that no term may take.
_RESERVED = (
  *('d_loss', 'g_loss', 'd_real', 'd_fake', 'd_accuracy'),
  *('augment', 'augment_strength', 'lookahead', 'last_moves', 'past_gradient'),
)


class GANOutputs(NamedTuple):
  """What a loss term may read.

  Attributes:
    real: real examples, `[B, ...]`.
    fake: generated examples, `[B, ...]`.
    latents: `[B, Z]`.
    label: `[B]` int32, or None.
    real_inputs: what the discriminator was given: real, augmented, with
      noise, packed: `[B / packing, ...]`.
    fake_inputs: the same of fake.
    real_logits: the discriminator on real_inputs; for a loss on features, its
      witness.
    fake_logits: the same on fake_inputs.
    real_features: for a discriminator that returns them, `[B / packing, F]`.
    fake_features: likewise.
    logits_fn: inputs -> logits, the discriminator as in training; its change
      of statistics is dropped.
    generate_fn: latents -> examples, likewise.
    g_params: the generator's parameters.
    d_params: the discriminator's parameters.
    packing: examples per input.
    axis_name: the mapped axis of devices, or None.
  """

  real: Array
  fake: Array
  latents: Array
  label: Array | None
  real_inputs: Array
  fake_inputs: Array
  real_logits: Array
  fake_logits: Array
  real_features: Array | None
  fake_features: Array | None
  logits_fn: Callable[[Array], Array]
  generate_fn: Callable[[Array], Array]
  g_params: PyTree
  d_params: PyTree
  packing: int
  axis_name: str | None


class LossTerm(NamedTuple):
  """A penalty as the steps see it; its weight is `hparams[f'{name}_weight']`.

  Attributes:
    apply: (context, keys [B], extra) -> (values, new extra), one value per
      example or per input of D. On several devices the new extra becomes its
      mean over them where it is floating point; an integer must come out the
      same on all.
    extra: the arrays it starts with, if it has a memory.
    coupled: whether it mixes the examples of a batch; it must then do so over
      `context.axis_name`.
    every: it is computed at every n-th step, n times as large; its memory
      moves at those steps alone.
    factor: step -> factor on its weight; None for none.
    player: whose loss it belongs to, 'discriminator' or 'generator'; '' for
      either.
    noise_id: integer folded into the keys of its noise; None derives it from
      the term's name.
  """

  apply: Callable[[GANOutputs, Array, PyTree], tuple[Array, PyTree]]
  aux_state: PyTree = ()
  coupled: bool = False
  every: int = 1
  factor: Callable[[Array], Array] | None = None
  player: str = ''
  noise_id: int | None = None


class Augmentation(NamedTuple):
  """What the discriminator sees real and generated examples through.

  Attributes:
    apply: (x `[B, ...]`, keys `[B]`, *, strength) -> x, differentiable.
    update: None for a constant strength, `hparams['augment_strength']`; else
      (memory, real_logits, *, axis_name) -> memory, of the D step, where
      `memory['strength']` is the strength; the logits are those above the
      loss's decision_threshold, or above the fake ones where it has none.
    memory: the arrays it starts with; they live in `state.aux_state['augment']`.
  """

  apply: Callable[..., Array]
  update: Callable[..., PyTree] | None = None
  memory: PyTree = ()


@dataclasses.dataclass(frozen=True)
class GAN:
  """A game between two networks. Static: it holds no arrays.

  Attributes:
    generator: latents to examples.
    discriminator: examples to logits.
    loss: what each player minimises, or a function of (`state.hparams`, step)
      to that.
    latent_dim: length of z ~ N(0, I).
    g_optimizer: an optax transform, or a function of `state.hparams` to one.
    d_optimizer: likewise.
    d_terms: penalties on the discriminator, by name.
    g_terms: penalties on the generator, by name.
    augment: what D sees all examples through, in both players' steps.
    instance_noise: (`state.hparams`, step) -> standard deviation of the noise
      on all that D sees; None for none.
    packing: how many examples D judges at a time (PacGAN); they are stacked
      along the last axis.
    joint_batch: whether the discriminator takes real and fake as one batch
      (batch norm then mixes them) or one after the other.
    d_loss_scale: factor on the discriminator's adversarial loss (D2L: 1/2).
    g_loss_scale: factor on the generator's.
    gradient_scale: factor on both gradients that the metrics do not show; the
      size of the global batch makes sums of means.
    consensus: whether both players also minimise half the squared norm of the
      game's gradient, times `hparams['consensus_weight']`. Terms that look at
      fixed points (r2, those between or around examples, bcr) count as if
      these did not move with the generator.
  """

  generator: Network
  discriminator: Network
  loss: AdversarialLoss | Callable[[Hparams, Array], AdversarialLoss]
  latent_dim: int
  g_optimizer: Optimizer
  d_optimizer: Optimizer
  d_terms: Mapping[str, LossTerm] = dataclasses.field(default_factory=dict)
  g_terms: Mapping[str, LossTerm] = dataclasses.field(default_factory=dict)
  augment: Augmentation | None = None
  instance_noise: Callable[[Hparams, Array], Array] | None = None
  packing: int = 1
  joint_batch: bool = False
  d_loss_scale: float = 1.0
  g_loss_scale: float = 1.0
  gradient_scale: float = 1.0
  consensus: bool = False

  def __post_init__(self):
    if isinstance(self.loss, AdversarialLoss):
      losses.check_loss(self.loss)
    both = sorted(set(self.d_terms) & set(self.g_terms))
    if both:
      raise ValueError(
        f'the terms {both} are in d_terms and in g_terms; each needs a name of '
        'its own, for its weight and its memory'
      )
    if self.packing < 1:
      raise ValueError(f'packing={self.packing}: must be at least 1')
    for side, terms in (
      ('discriminator', self.d_terms),
      ('generator', self.g_terms),
    ):
      for name, term in terms.items():
        _check_term_side(name, term, side)

  @property
  def is_adaptive(self) -> bool:
    """Whether the strength of augmentation moves, in `state.aux_state`."""
    return self.augment is not None and self.augment.update is not None

  def resolve_loss(self, hparams: Hparams, step: Array) -> AdversarialLoss:
    """The players' losses under these hyper-parameters, at this step."""
    if isinstance(self.loss, AdversarialLoss):
      return self.loss
    loss = self.loss(hparams, step)
    losses.check_loss(loss)
    return loss

  def g_transform(self, hparams: Hparams) -> optax.GradientTransformation:
    """The generator's optax transform under these hyper-parameters."""
    return _transform(self.g_optimizer, hparams)

  def d_transform(self, hparams: Hparams) -> optax.GradientTransformation:
    """The discriminator's optax transform under these hyper-parameters."""
    return _transform(self.d_optimizer, hparams)


def _check_term_side(name: str, term: LossTerm, side: str) -> None:
  if term.every < 1:
    raise ValueError(f'{name}: every={term.every}: must be at least 1')
  if term.player not in ('', side):
    raise ValueError(
      f'the term {name!r} belongs to the {term.player}, and is among those of '
      f'the {side}, where it would change nothing'
    )
  if name in _RESERVED:
    raise ValueError(
      f'a term cannot be named {name!r}, which the metrics or state.aux_state use'
    )


def _transform(optimizer, hparams):
  is_transform = isinstance(optimizer, optax.GradientTransformation)
  return optimizer if is_transform else optimizer(hparams)


class LossAux(NamedTuple):
  """What a pass through the game yields beside the two losses.

  Attributes:
    g_batch_stats: the generator's new statistics.
    d_batch_stats: the discriminator's.
    g_extra: the new memory of the generator's terms.
    d_extra: that of the discriminator's, and of the augmentation.
    g_metrics: scalars about the generator's loss.
    d_metrics: scalars about the discriminator's.
  """

  g_batch_stats: PyTree
  d_batch_stats: PyTree
  g_aux_state: dict[str, PyTree]
  d_aux_state: dict[str, PyTree]
  g_metrics: Metrics
  d_metrics: Metrics
