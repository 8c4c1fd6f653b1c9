"""The GAN object: two networks, a loss, optimizers, penalties and augmentation.

These classes are static descriptions; gan_losses.make_gan_losses builds the
loss function from them.
"""

import dataclasses
import inspect
from typing import Any, Callable, Mapping, NamedTuple

import jax
import optax

from gan_jax import losses, prng, validation
from gan_jax.losses import AdversarialLoss
from gan_jax.networks import DiscriminatorOutput, Network
from gan_jax.training import transforms

Array = jax.Array
PyTree = Any
Hparams = Mapping[str, Any]
Batch = Mapping[str, Array]
Metrics = dict[str, Array]
# A transform, or a function that builds one from `state.hparams`.
Transform = optax.GradientTransformation | optax.MultiSteps
Optimizer = Transform | Callable[[Hparams], Transform]
FAKE_LABELS = ('batch', 'uniform', 'data')

# Names used by the metrics and `state.aux_state`; no loss term may have them.
_RESERVED = (
  *('d_loss', 'g_loss', 'd_real', 'd_fake', 'd_accuracy'),
  *(
    'ema',
    'augment',
    'augment_strength',
    'lookahead',
    'last_moves',
    'past_gradient',
  ),
)


class GANOutputs(NamedTuple):
  """Inputs and outputs of the networks that a loss term may read.

  Attributes:
    real: real examples, `[B, ...]`.
    fake: generated examples, `[B, ...]`.
    latents: latents of the generated examples, `[B, Z]`.
    real_label: class labels of the real examples, `[B]` int32, or None.
    fake_label: class labels of the generated examples, likewise.
    real_inputs: real examples as the discriminator receives them, after
      augmentation, instance noise and packing: `[B / packing, ...]`.
    fake_inputs: generated examples, processed likewise.
    real_logits: logits of real_inputs; for a loss on features, the values of
      its witness function.
    fake_logits: logits of fake_inputs, likewise.
    real_features: features of real_inputs, `[B / packing, F]`, if the
      discriminator returns them; otherwise None.
    fake_features: features of fake_inputs, likewise.
    real_outputs: all outputs of the discriminator for real_inputs.
    fake_outputs: all outputs of the discriminator for fake_inputs.
    real_logits_fn: inputs -> logits, the discriminator in training mode with
      the labels of the real examples; its updates of the statistics are
      dropped.
    fake_logits_fn: likewise with the labels of the generated examples.
    real_outputs_fn: inputs -> all outputs of the discriminator, likewise with
      the labels of the real examples.
    fake_outputs_fn: likewise with the labels of the generated examples.
    generate_fn: latents -> examples, the generator in training mode with the
      labels of the generated examples, likewise.
    sample_latents_fn: keys `[B]` -> other latents of the same distribution,
      `[B, Z]`.
    g_params: parameters of the generator.
    d_params: parameters of the discriminator.
    packing: number of examples per discriminator input.
    axis_name: name of the mapped axis of devices, or None.
    styles: styles of the generated examples, `[B, L, W]`, of a generator with
      a mapping; otherwise None.
    synthesis_fn: (styles, every=1) -> examples, the synthesis of such a
      generator with the noise of the generated examples, for the styles of
      every n-th one; otherwise None.
  """

  real: Array
  fake: Array
  latents: Array
  real_label: Array | None
  fake_label: Array | None
  real_inputs: Array
  fake_inputs: Array
  real_logits: Array
  fake_logits: Array
  real_features: Array | None
  fake_features: Array | None
  real_outputs: DiscriminatorOutput
  fake_outputs: DiscriminatorOutput
  real_logits_fn: Callable[[Array], Array]
  fake_logits_fn: Callable[[Array], Array]
  real_outputs_fn: Callable[[Array], DiscriminatorOutput]
  fake_outputs_fn: Callable[[Array], DiscriminatorOutput]
  generate_fn: Callable[[Array], Array]
  sample_latents_fn: Callable[[Array], Array]
  g_params: PyTree
  d_params: PyTree
  packing: int
  axis_name: str | None
  styles: Array | None = None
  synthesis_fn: Callable[..., Array] | None = None


class LossTerm(NamedTuple):
  """A penalty as a term of the loss, weighted by `hparams[f'{name}_weight']`.

  Attributes:
    apply: (outputs, keys [B], aux_state) -> (values, new aux_state), with one
      value per example or per discriminator input. On several devices the
      floating-point leaves of the new aux_state are averaged over the devices;
      integer leaves must be equal on all of them.
    aux_state: initial auxiliary arrays; () for none.
    coupled: whether the term mixes the examples of a batch. If so, it must also
      mix them over `outputs.axis_name`.
    every: interval in steps. The term is computed at every n-th step and scaled
      by n (lazy regularization); its auxiliary arrays change only at those
      steps.
    player: player whose loss the term belongs to, 'discriminator' or
      'generator'; '' for either.
    noise_id: integer folded into the keys of the term's noise; None derives it
      from the term's name.
  """

  apply: Callable[[GANOutputs, Array, PyTree], tuple[Array, PyTree]]
  aux_state: PyTree = ()
  coupled: bool = False
  every: int = 1
  player: str = ''
  noise_id: int | None = None


class Augmentation(NamedTuple):
  """Augmentation of the discriminator's inputs, real and generated.

  Attributes:
    apply: (x `[B, ...]`, keys `[B]`, *, strength) -> x, differentiable.
    update: None for a constant strength, `hparams['augment_strength']`.
      Otherwise (aux_state, real_logits, *, axis_name) -> aux_state, called in the D
      step, where `aux_state['strength']` is the strength. The logits are relative
      to the loss's decision_threshold, or to the fake logits if the loss has no
      threshold.
    aux_state: initial auxiliary arrays, kept in `state.aux_state['augment']`.
  """

  apply: Callable[..., Array]
  update: Callable[..., PyTree] | None = None
  aux_state: PyTree = ()


@dataclasses.dataclass(frozen=True)
class GAN:
  """A generator, a discriminator and their objective. Static: holds no arrays.

  Attributes:
    generator: network from latents to examples.
    discriminator: network from examples to logits.
    loss: adversarial loss that both players minimize, or a function of
      (`state.hparams`, step) that returns one.
    latent_dim: length Z of the latents.
    g_optimizer: optax transform (docs/optimizers.md lists which), or a function
      of `state.hparams` that returns one.
    d_optimizer: likewise for the discriminator.
    d_terms: penalties on the discriminator, by name.
    g_terms: penalties on the generator, by name.
    augment: augmentation of all discriminator inputs, in the steps of both
      players; None for none.
    instance_noise: (`state.hparams`, step) -> standard deviation of the noise
      added to all discriminator inputs; None for none.
    latent_fn: function from keys `[B]` and Z to latents `[B, Z]`, one per key,
      such as prng.sample_normal or prng.sample_uniform.
    packing: number of examples per discriminator input (PacGAN), stacked along
      the last axis.
    joint_batch: whether the discriminator is applied to real and fake examples
      as one batch (batch norm then mixes them) or one after the other.
    d_loss_scale: factor on the discriminator's adversarial loss (D2L: 1/2).
    g_loss_scale: factor on the generator's adversarial loss.
    gradient_scale: factor on the gradients of both players, not visible in the
      metrics. With the size of the global batch, means become sums.
    consensus: whether both players also minimize half the squared norm of the
      joint gradient of both losses, times `hparams['consensus_weight']`.
      Penalties evaluated at stop-gradient points (R2, interpolated or perturbed
      examples, bCR) contribute no gradient through those points.
    classes: number of classes of the labels, for fake_labels and for sampling;
      0 if the labels are none or anything that the networks understand.
    fake_labels: labels of the generated examples. 'batch' takes those of the
      real batch, pair by pair, as relativistic losses need; 'uniform' draws
      each class equally often; 'data' draws by class_share.
    class_share: share of each class among the training examples; () for none.
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
  latent_fn: Callable[[Array, int], Array] = prng.sample_normal
  packing: int = 1
  joint_batch: bool = False
  d_loss_scale: float = 1.0
  g_loss_scale: float = 1.0
  gradient_scale: float = 1.0
  consensus: bool = False
  classes: int = 0
  fake_labels: str = 'batch'
  class_share: tuple[float, ...] = ()

  def __post_init__(self):
    for player in ('generator', 'discriminator'):
      _check_network(player, getattr(self, player))
      where = f'{player[0]}_optimizer'
      transforms.check_optimizer(where, getattr(self, where))
    _check_loss(self.loss)
    both = sorted(set(self.d_terms) & set(self.g_terms))
    if both:
      raise ValueError(
        f'the terms {both} are in both d_terms and g_terms: names must be '
        'unique, because weights and auxiliary arrays are stored by name'
      )
    if self.packing < 1:
      raise ValueError(f'packing={self.packing}: must be at least 1')
    _check_classes(self)
    for side, terms in (
      ('discriminator', self.d_terms),
      ('generator', self.g_terms),
    ):
      for name, term in terms.items():
        _check_term_side(name, term, side)

  @property
  def is_adaptive(self) -> bool:
    """Whether the augmentation strength is adaptive (in `state.aux_state`)."""
    return self.augment is not None and self.augment.update is not None

  def resolve_loss(self, hparams: Hparams, step: Array) -> AdversarialLoss:
    """Returns the adversarial loss for these hyper-parameters at this step."""
    if isinstance(self.loss, AdversarialLoss):
      return self.loss
    loss = self.loss(hparams, step)
    if not isinstance(loss, AdversarialLoss):
      raise ValueError(
        f'loss is a function of (hparams, step) and returned '
        f'{type(loss).__name__}; must return a losses.AdversarialLoss'
      )
    losses.check_loss(loss)
    return loss

  def g_transform(self, hparams: Hparams) -> Transform:
    """Returns the generator's optax transform for these hparams."""
    return transforms.resolve('g_optimizer', self.g_optimizer, hparams)

  def d_transform(self, hparams: Hparams) -> Transform:
    """Returns the discriminator's optax transform for these hparams."""
    return transforms.resolve('d_optimizer', self.d_optimizer, hparams)


def _check_classes(gan: GAN) -> None:
  if gan.fake_labels not in FAKE_LABELS:
    raise ValueError(
      f'fake_labels={gan.fake_labels!r}: choose one of {FAKE_LABELS}'
    )
  if gan.fake_labels != 'batch' and gan.classes < 1:
    raise ValueError(
      f'fake_labels={gan.fake_labels!r} with classes={gan.classes}: must be '
      "'batch', or classes at least 1"
    )
  shares, needed = gan.class_share, gan.fake_labels == 'data'
  if (shares or needed) and len(shares) != gan.classes:
    raise ValueError(
      f'class_share has {len(shares)} entries for classes={gan.classes}: must '
      'have one for each class'
    )
  if shares and not (min(shares) >= 0 and abs(sum(shares) - 1) < 1e-4):
    raise ValueError(
      f'class_share of sum {sum(shares):.6g} and minimum {min(shares):.6g}: '
      'shares must be at least 0 and sum to 1'
    )


def _check_term_side(name: str, term: LossTerm, side: str) -> None:
  if term.every < 1:
    raise ValueError(f'{name}: every={term.every}: must be at least 1')
  if term.player not in ('', side):
    raise ValueError(
      f'the term {name!r} is a penalty on the {term.player}: among the terms '
      f'of the {side} it would have no effect'
    )
  if name in _RESERVED:
    raise ValueError(
      f'a term cannot be named {name!r}: the metrics or state.aux_state use '
      'that name'
    )


def _check_network(player: str, network: Any) -> None:
  if not isinstance(network, Network):
    raise ValueError(
      f'{player} is of type {type(network).__name__}; must be a '
      'networks.Network, as networks.from_linen(module) makes it'
    )


def _check_loss(loss: Any) -> None:
  """Raises ValueError for what is no loss; the message shows what to write."""
  if isinstance(loss, AdversarialLoss):
    losses.check_loss(loss)
    return
  if isinstance(loss, str):
    name = validation.lookup(list(losses.LOSSES), loss, 'loss')
    raise ValueError(f"loss={name!r}: write loss=losses.LOSSES['{name}']")
  for name, factory in losses.FACTORIES.items():
    if loss is factory:
      raise ValueError(f'loss={name}: call it, as in loss=losses.{name}()')
  if not callable(loss):
    raise ValueError(
      f'loss={loss!r}: must be a losses.AdversarialLoss, such as '
      "losses.LOSSES['hinge'], or a function of (hparams, step) that returns one"
    )
  if 'fake_logits' in inspect.signature(loss).parameters:
    raise ValueError(
      f'loss={getattr(loss, "__name__", loss)} is the loss of one player: write loss='
      'losses.AdversarialLoss(discriminator, generator), two functions of '
      '(real_logits, fake_logits)'
    )


class LossAux(NamedTuple):
  """Auxiliary outputs of a forward pass, returned next to the two losses.

  Attributes:
    g_batch_stats: new statistics of the generator.
    d_batch_stats: new statistics of the discriminator.
    g_aux_state: new auxiliary arrays of the generator's terms.
    d_aux_state: new auxiliary arrays of the discriminator's terms and of the
      augmentation.
    g_metrics: scalar metrics of the generator's loss.
    d_metrics: scalar metrics of the discriminator's loss.
  """

  g_batch_stats: PyTree
  d_batch_stats: PyTree
  g_aux_state: dict[str, PyTree]
  d_aux_state: dict[str, PyTree]
  g_metrics: Metrics
  d_metrics: Metrics
