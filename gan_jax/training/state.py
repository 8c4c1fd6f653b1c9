"""The train state: a tree of arrays that can be jitted, sharded and saved."""

from typing import Any, Mapping

import flax.struct
import jax
import jax.numpy as jnp

from gan_jax import precision
from gan_jax.training import ema as ema_lib

Array = jax.Array
PyTree = Any


@flax.struct.dataclass
class NetState:
  """State of one player.

  Attributes:
    params: parameters that the optimizer updates.
    batch_stats: running statistics (batch norm, power iteration); {} for none.
    opt_state: optax state.
  """

  params: PyTree
  batch_stats: PyTree
  opt_state: PyTree


@flax.struct.dataclass
class GANState:
  """Everything a train step reads and updates, except the data and the key.

  Attributes:
    step: number of train steps done, int32 scalar.
    generator: state of the generator.
    discriminator: state of the discriminator.
    ema: (params, batch_stats) of the generator's EMA. Both are needed, because
      the statistics of the raw weights do not fit the averaged weights.
    hparams: continuous hyper-parameters by name, float32 scalars.
    aux_state: auxiliary arrays by name: those of loss terms, of the
      augmentation ('augment') and of some update rules
      (train_step.init_aux_state). For networks whose parameters or statistics
      have less than 32 bits also the EMA in float32 ('ema').
  """

  step: Array
  generator: NetState
  discriminator: NetState
  ema: tuple[PyTree, PyTree]
  hparams: dict[str, Array]
  aux_state: dict[str, PyTree]


def init_state(
  gan: Any, key: Array, batch: Mapping[str, Array], hparams: Mapping[str, Any]
) -> GANState:
  """Initializes the train state at step 0.

  Args:
    gan: the GAN.
    key: typed key; each player is initialized from its own fold of it.
    batch: `{'x': [B, ...] float32, 'label'?}`; only its shapes and dtypes
      matter.
    hparams: values of the hyper-parameters that the GAN reads, by name.

  Returns:
    The state, on the default device.

  Raises:
    ValueError: if hparams lacks the weight of a loss term, or
      'consensus_weight' or 'augment_strength' where the GAN reads them.
  """
  names = [f'{name}_weight' for name in (*gan.d_terms, *gan.g_terms)]
  if gan.consensus:
    names.append('consensus_weight')
  if gan.augment is not None and not gan.is_adaptive:
    names.append('augment_strength')
  missing = [name for name in names if name not in hparams]
  if missing:
    raise ValueError(f'hparams lacks {missing}; it has {sorted(hparams)}')
  # Copies, here and below: a donated state must own its buffers.
  hparams = {
    k: jnp.array(v, jnp.float32, copy=True) for k, v in hparams.items()
  }
  label = batch.get('label')
  latents = jnp.zeros((batch['x'].shape[0], gan.latent_dim))

  def player(network, optimizer, index, x, label):
    params, batch_stats = network.init(jax.random.fold_in(key, index), x, label)
    # Moments are averages, too.
    opt_state = optimizer.init(precision.widen(params))
    return NetState(params, batch_stats, opt_state)

  # A pack of examples is one input of D, which has no single class.
  x, d_label = batch['x'], label
  if gan.packing > 1:
    *shape, channels = x.shape
    x = jnp.zeros((*shape, gan.packing * channels), x.dtype)
    d_label = None
  memories = {n: t.aux_state for n, t in {**gan.d_terms, **gan.g_terms}.items()}
  if gan.is_adaptive:
    memories['augment'] = gan.augment.aux_state
  generator = player(gan.generator, gan.g_transform(hparams), 0, latents, label)
  ema = generator.params, generator.batch_stats
  if narrow := ema_lib.narrow_averages(ema):
    memories['ema'] = narrow
  return GANState(
    step=jnp.int32(0),
    generator=generator,
    discriminator=player(
      gan.discriminator, gan.d_transform(hparams), 1, x, d_label
    ),
    ema=jax.tree.map(jnp.copy, ema),
    hparams=hparams,
    aux_state=jax.tree.map(lambda x: jnp.array(x, copy=True), memories),
  )


def all_finite(tree: PyTree) -> Array:
  """Returns whether all floating-point leaves are finite, as a bool scalar."""
  floats = [
    leaf
    for leaf in jax.tree.leaves(tree)
    if jnp.issubdtype(leaf.dtype, jnp.floating)
  ]
  return jnp.stack([jnp.isfinite(x).all() for x in floats]).all()
