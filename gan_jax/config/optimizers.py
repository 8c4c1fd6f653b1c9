"""Options of the optimizers, and the steps between updates.

`gan_jax.training.optimizers` builds the optax transforms.
"""

import dataclasses

from gan_jax.config.fields import Part, option

OPTIMIZERS = (
  'sgd',
  'adam',
  'adamw',
  'rmsprop',
  'optimistic_sgd',
  'optimistic_adam',
)
UPDATE_RULES = (
  'alternating',
  'simultaneous',
  'extragradient',
  'past_extragradient',
)


@dataclasses.dataclass(frozen=True)
class SGD:
  """Options of stochastic gradient descent.

  Attributes:
    momentum: Decay of the sum of past gradients. 0 turns it off.
  """

  momentum: float = option(0.0, at_least=0)


@dataclasses.dataclass(frozen=True)
class Adam:
  """Options of Adam.

  Attributes:
    b1: Decay of the mean of gradients, in [0, 1).
    b2: Decay of the mean of squared gradients, in [0, 1).
    eps: Added to the denominator.
  """

  b1: float = option(0.5, at_least=0, below=1)
  b2: float = option(0.999, at_least=0, below=1)
  eps: float = option(1e-8, at_least=0)


@dataclasses.dataclass(frozen=True)
class AdamW:
  """Options of Adam with decoupled weight decay.

  Attributes:
    b1: Decay of the mean of gradients, in [0, 1).
    b2: Decay of the mean of squared gradients, in [0, 1).
    eps: Added to the denominator.
    weight_decay: Share of each parameter that an update takes off, times the
      learning rate.
  """

  b1: float = option(0.5, at_least=0, below=1)
  b2: float = option(0.999, at_least=0, below=1)
  eps: float = option(1e-8, at_least=0)
  weight_decay: float = option(1e-4, at_least=0)


@dataclasses.dataclass(frozen=True)
class RMSProp:
  """Options of RMSProp.

  Attributes:
    decay: Decay of the mean of squared gradients, in [0, 1).
    eps: Added to the denominator.
  """

  decay: float = option(0.99, at_least=0, below=1)
  eps: float = option(1e-8, at_least=0)


@dataclasses.dataclass(frozen=True)
class OptimisticSGD:
  """Options of optimistic gradient descent (Daskalakis et al., 2018).

  Attributes:
    optimism: Factor on the change of the update since the last one, which is
      added to it.
  """

  optimism: float = option(1.0, at_least=0)


@dataclasses.dataclass(frozen=True)
class OptimisticAdam:
  """Options of optimistic Adam (Daskalakis et al., 2018).

  Attributes:
    b1: Decay of the mean of gradients, in [0, 1).
    b2: Decay of the mean of squared gradients, in [0, 1).
    eps: Added to the denominator.
    optimism: Factor on the change of the update since the last one, which is
      added to it.
  """

  b1: float = option(0.5, at_least=0, below=1)
  b2: float = option(0.999, at_least=0, below=1)
  eps: float = option(1e-8, at_least=0)
  optimism: float = option(1.0, at_least=0)


@dataclasses.dataclass(frozen=True)
class Optimizer(Part):
  """One player's optimizer.

  Attributes:
    name: One of OPTIMIZERS.
    learning_rate: Learning rate.
    weight_clip: Largest absolute value of a parameter, to which it is clipped
      after each update. 0 turns clipping off.
    freeze_layers: Number of the network's first layers, from its input on, that
      keep their parameters, as in FreezeD. Their statistics still change. The
      run and --dry_run print which layers these are.
    sgd: Options of stochastic gradient descent.
    adam: Options of Adam.
    adamw: Options of Adam with decoupled weight decay.
    rmsprop: Options of RMSProp.
    optimistic_sgd: Options of optimistic gradient descent.
    optimistic_adam: Options of optimistic Adam.
  """

  name: str = option('adam', names=OPTIMIZERS)
  learning_rate: float = option(2e-4, at_least=0)
  weight_clip: float = option(0.0, at_least=0)
  freeze_layers: int = option(0, at_least=0)
  sgd: SGD = SGD()
  adam: Adam = Adam()
  adamw: AdamW = AdamW()
  rmsprop: RMSProp = RMSProp()
  optimistic_sgd: OptimisticSGD = OptimisticSGD()
  optimistic_adam: OptimisticAdam = OptimisticAdam()


@dataclasses.dataclass(frozen=True)
class Lookahead:
  """Lookahead: both players go back towards slow weights now and then.

  Attributes:
    every: Steps between returns. 0 turns lookahead off.
    alpha: Share of the way from the slow weights that is kept, in [0, 1].
  """

  every: int = option(0, at_least=0)
  alpha: float = option(0.5, at_least=0, at_most=1)
