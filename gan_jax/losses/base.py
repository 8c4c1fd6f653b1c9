"""What a loss is, and what the losses share."""

import inspect
from typing import Any, Callable, NamedTuple

import chex
import jax

Array = jax.Array
PlayerLoss = Callable[..., Array]

# What a discriminator must return for a loss.
OUTPUTS = ('logits', 'features', 'scores')


class AdversarialLoss(NamedTuple):
  """The losses of the two players, each (real_logits, fake_logits) -> losses.

  Attributes:
    discriminator: what the discriminator minimises.
    generator: what the generator minimises; one that reads the fake logits
      alone ignores its first argument.
    coupled: whether a loss mixes the examples of a batch (a mean, a kernel).
      Both functions must then take a keyword `axis_name`, the mapped axis of
      devices, and see the batch of all devices through it.
    decision_threshold: the logit above which the discriminator says real; None where
      only differences of logits mean something.
    output: what the discriminator must return: 'logits' `[B]` (or
      `[B, h, w]`); 'features' `[B, F]` (or `[B]`); 'scores', a
      networks.DiscriminatorOutput with logits and features.
    witness: for 'features', the function whose sign tells real from fake:
      (features `[n, F]`, real_features, fake_features, *, own, axis_name) ->
      `[n]`, where own is 'real' or 'fake' for those very features, else
      'none'. Penalties on gradients act on it.
  """

  discriminator: PlayerLoss
  generator: PlayerLoss
  coupled: bool = False
  decision_threshold: float | None = 0.0
  output: str = 'logits'
  witness: Callable[..., Array] | None = None


def check_logits(*logits: Array) -> None:
  """Refuses logits of different shapes or of integers.

  Raises:
    AssertionError: naming the shapes or types.
  """
  for x in logits:
    if not hasattr(x, 'shape'):
      raise AssertionError(f'logits must be arrays, not {type(x).__name__}')
  chex.assert_equal_shape(logits)  # [B] with [B, 1] would become [B, B]
  chex.assert_type(logits, float)


def accepts(function: Callable, name: str) -> bool:
  """Whether a function takes a keyword argument of this name."""
  parameters = inspect.signature(function).parameters
  return name in parameters or any(
    p.kind == p.VAR_KEYWORD for p in parameters.values()
  )


def check_loss(loss: AdversarialLoss) -> None:
  """Refuses a loss that says of itself what its functions do not keep.

  Raises:
    ValueError: for a coupled loss whose functions have no `axis_name`, an
      unknown output, or features without a witness.
  """
  if loss.output not in OUTPUTS:
    raise ValueError(f'output={loss.output!r}: choose one of {OUTPUTS}')
  if loss.output == 'features' and loss.witness is None:
    raise ValueError(
      "a loss of output='features' needs a witness: the function of features "
      'that penalties and metrics take for the logit'
    )
  for player in ('discriminator', 'generator'):
    if loss.coupled and not accepts(getattr(loss, player), 'axis_name'):
      raise ValueError(
        f'the loss mixes the examples of a batch (coupled=True), but its '
        f"{player}'s function takes no axis_name: on several devices each "
        'would see its own part alone'
      )


def player_loss(
  loss: AdversarialLoss,
  player: str,
  real: Any,
  fake: Any,
  axis_name: Any,
  **options,
) -> Array:
  """One player's loss, with the axis name where the loss wants it.

  Args:
    loss: the losses.
    player: 'discriminator' or 'generator'.
    real: what the discriminator returned for real examples.
    fake: the same for generated ones.
    axis_name: the mapped axis of devices, or None.
    **options: the function's own.

  Returns:
    The losses, one per logit.
  """
  if loss.coupled:
    options['axis_name'] = axis_name
  return getattr(loss, player)(real, fake, **options)
