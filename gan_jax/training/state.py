"""The train state: a tree of arrays that can be jitted, sharded and saved."""

import functools
from typing import Any, Mapping

import flax.struct
import jax
import jax.numpy as jnp

from gan_jax import prng
from gan_jax.training import ema as ema_lib
from gan_jax.training import transforms
from gan_jax.training.gan import GAN
from gan_jax.training.hparams import RecordedHparams, read_hparams
from gan_jax.training.labels import explain_missing_labels

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

  def __repr__(self) -> str:  # without the arrays
    count = sum(x.size for x in jax.tree.leaves(self.params))
    return f'NetState({count:,} parameters)'


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

  def __repr__(self) -> str:  # without the arrays
    count = lambda player: sum(x.size for x in jax.tree.leaves(player.params))
    return (
      f'GANState(step={self.step}, {count(self.generator):,} parameters of the '
      f'generator, {count(self.discriminator):,} of the discriminator)'
    )


def own_arrays(tree: PyTree) -> PyTree:
  """Copies every leaf to an array of its own.

  A donated state must own its arrays: leaves that share a buffer (tied
  parameters, an optimizer that starts at the parameters, constants of a
  network's init) cannot be donated together, or twice.

  Args:
    tree: tree of arrays or numbers.

  Returns:
    The tree, of jax.Arrays. None of them shares a buffer with another one or
    with the leaves given.
  """

  def copy(x):
    strong = jnp.asarray(x, jnp.result_type(x))
    # Without a program for each shape, as jnp.array(x) compiles.
    return jax.device_put(strong, may_alias=False)

  return jax.tree.map(copy, tree)


def init_state(
  gan: GAN, key: Array, batch: Mapping[str, Array], hparams: Mapping[str, Any]
) -> GANState:
  """Initializes the train state at step 0.

  Args:
    gan: the GAN.
    key: key; each player is initialized from its own fold of it.
    batch: `{'x': [B, ...] float32, 'label'?}`; only its shapes and dtypes
      matter.
    hparams: values of the hyper-parameters that the GAN reads, by name:
      hparams.required_hparams(gan) returns usual ones.

  Returns:
    The state, on the default device. It owns its arrays: no two leaves share a
    buffer, nor does a later state.

  Raises:
    ValueError: if hparams lacks one that the GAN reads (the message has the
      usual value), an optimizer cannot be used (transforms.init_opt_state), or
      a conditional network gets no labels.
  """
  unset = [name for name, value in hparams.items() if value is None]
  if unset:
    raise ValueError(f'hparams: {unset} must be numbers, not None')
  hparams = {
    k: jnp.array(v, jnp.float32, copy=True) for k, v in hparams.items()
  }
  recorded = RecordedHparams(hparams)
  read_hparams(gan, recorded)
  recorded.raise_missing()
  key, label = prng.typed_keys(key), batch.get('label')
  latents = jnp.zeros((batch['x'].shape[0], gan.latent_dim))

  def player(name, index, x, label):
    network, own = getattr(gan, name), jax.random.fold_in(key, index)
    init = functools.partial(network.init, own, x)
    with explain_missing_labels(init, label, len(x), player=name):
      params, batch_stats = init(label)
    return _init_player(gan, name, recorded, params, batch_stats)

  # A pack of examples is one input of D, which has no single class.
  x, d_label = batch['x'], label
  if gan.packing > 1:
    *shape, channels = x.shape
    x = jnp.zeros((*shape, gan.packing * channels), x.dtype)
    d_label = None
  memories = {n: t.aux_state for n, t in {**gan.d_terms, **gan.g_terms}.items()}
  if gan.is_adaptive:
    memories['augment'] = gan.augment.aux_state
  generator = player('generator', 0, latents, label)
  discriminator = player('discriminator', 1, x, d_label)
  recorded.raise_missing()
  ema = generator.params, generator.batch_stats
  if narrow := ema_lib.narrow_averages(ema):
    memories['ema'] = narrow
  state = GANState(
    step=jnp.int32(0),
    generator=generator,
    discriminator=discriminator,
    ema=ema,
    hparams=hparams,
    aux_state=memories,
  )
  return own_arrays(state)


def _init_player(gan, name, hparams, params, batch_stats) -> NetState:
  where = f'{name[0]}_optimizer'
  optimizer = getattr(gan, f'{name[0]}_transform')(hparams)
  opt_state = transforms.init_opt_state(where, optimizer, params)
  return NetState(params, batch_stats, opt_state)


def replace_weights(gan: GAN, state: GANState, trained: GANState) -> GANState:
  """Starts a new state from the weights of a trained one.

  Args:
    gan: the GAN.
    state: state at step 0.
    trained: state whose parameters, statistics and EMA are taken.

  Returns:
    The state with these weights, and with optimizers that start from them: the
    state of some optimizers holds the first parameters. It owns its arrays.
    init_aux_state must be called after this, not before.
  """
  recorded = RecordedHparams(state.hparams)
  players = {}
  for name in ('generator', 'discriminator'):
    old = getattr(trained, name)
    players[name] = _init_player(
      gan, name, recorded, old.params, old.batch_stats
    )
  aux_state = dict(state.aux_state)
  if narrow := ema_lib.narrow_averages(trained.ema):
    aux_state['ema'] = narrow
  return own_arrays(
    state.replace(ema=trained.ema, aux_state=aux_state, **players)
  )


def all_finite(tree: PyTree) -> Array:
  """Returns whether all floating-point leaves are finite, as a bool scalar."""
  floats = [
    leaf
    for leaf in jax.tree.leaves(tree)
    if jnp.issubdtype(leaf.dtype, jnp.floating)
  ]
  return jnp.stack([jnp.isfinite(x).all() for x in floats]).all()
