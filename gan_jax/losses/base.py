"""The type of a loss, and helpers that the losses share."""

import inspect
from typing import Any, Callable, NamedTuple

import chex
import jax

Array = jax.Array
PlayerLoss = Callable[..., Array]

# Discriminator outputs that a loss can require.
OUTPUTS = ('logits', 'features', 'scores')


class AdversarialLoss(NamedTuple):
  """Losses of the two players, each (real_logits, fake_logits) -> losses.

  Attributes:
    discriminator: loss that the discriminator minimizes.
    generator: loss that the generator minimizes. A loss of the fake logits
      alone ignores its first argument.
    coupled: whether a loss mixes the examples of a batch (by a mean or a
      kernel). Both functions must then take a keyword `axis_name`, the name of
      the mapped device axis, and reduce over the batch of all devices.
    decision_threshold: logit above which an example counts as real; None if
      only differences of logits are meaningful.
    output: required output of the discriminator: 'logits' `[B]` (or
      `[B, h, w]`); 'features' `[B, F]` (or `[B]`); 'scores', a
      networks.DiscriminatorOutput with logits and features.
    witness: for 'features', the function whose sign separates real from fake:
      (features `[n, F]`, real_features, fake_features, *, own, axis_name) ->
      `[n]`. `own` is 'real' or 'fake' if `features` is that same set, else
      'none'. Gradient penalties apply to it.
  """

  discriminator: PlayerLoss
  generator: PlayerLoss
  coupled: bool = False
  decision_threshold: float | None = 0.0
  output: str = 'logits'
  witness: Callable[..., Array] | None = None

  def __call__(self, *unused, **unused_options):
    """Raises TypeError, which shows how to compute the two losses."""
    name = getattr(self.discriminator, '__name__', '')
    name = name.removesuffix('_discriminator')
    raise TypeError(
      'an AdversarialLoss is a pair of functions, one for each player: write '
      f'loss.discriminator(real_logits, fake_logits) or loss.generator('
      f'real_logits, fake_logits) (this loss: {name or "unnamed"})'
    )


def check_logits(*logits: Array) -> None:
  """Checks that logits have equal shapes and are floating point.

  Raises:
    AssertionError: if they do not; the message has the shapes or types.
  """
  for x in logits:
    if not hasattr(x, 'shape'):
      raise AssertionError(f'logits must be arrays, not {type(x).__name__}')
  chex.assert_equal_shape(logits)  # [B] with [B, 1] would become [B, B]
  chex.assert_type(logits, float)


def accepts(function: Callable, name: str) -> bool:
  """Returns whether a function takes a keyword argument of this name."""
  parameters = inspect.signature(function).parameters
  return name in parameters or any(
    p.kind == p.VAR_KEYWORD for p in parameters.values()
  )


def check_loss(loss: AdversarialLoss) -> None:
  """Checks that the functions of a loss match its declared properties.

  Raises:
    ValueError: if the functions of a coupled loss take no `axis_name`, the
      output is unknown, or a loss on features has no witness.
  """
  if loss.output not in OUTPUTS:
    raise ValueError(f'output={loss.output!r}: choose one of {OUTPUTS}')
  if loss.output == 'features' and loss.witness is None:
    raise ValueError(
      "a loss of output='features' needs a witness: the function of features "
      'that penalties and metrics use in place of the logit'
    )
  for player in ('discriminator', 'generator'):
    if loss.coupled and not accepts(getattr(loss, player), 'axis_name'):
      raise ValueError(
        f'the loss mixes the examples of a batch (coupled=True), but its '
        f"{player}'s function takes no axis_name: on several devices each "
        'would see only its own part of the batch'
      )


def player_loss(
  loss: AdversarialLoss,
  player: str,
  real: Any,
  fake: Any,
  axis_name: Any,
  **options,
) -> Array:
  """Computes the loss of one player, passing `axis_name` if it is coupled.

  Args:
    loss: losses of both players.
    player: 'discriminator' or 'generator'.
    real: discriminator output for real examples.
    fake: discriminator output for generated examples.
    axis_name: name of the mapped device axis, or None.
    **options: further keyword arguments of the loss function.

  Returns:
    The losses, one per logit.
  """
  if loss.coupled:
    options['axis_name'] = axis_name
  return getattr(loss, player)(real, fake, **options)
