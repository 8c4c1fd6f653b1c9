"""From a plain mapping to everything that a program needs.

A notebook, train.py and whatever reads a finished run share this builder:

  built = experiment.build({'data': {'name': 'digits'}, 'num_steps': 100})
  sample = experiment.load('runs/digits')  # a finished run
  images = sample(64)                      # [64, 16, 16, 1] in [-1, 1]
"""

import dataclasses
import functools
import json
import pathlib
from typing import Any, Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import (
  __version__,
  assemble,
  checkpoint,
  data,
  game,
  latents,
  parallel,
  settings,
  state,
  steps,
)

CONFIG_FILE = 'config.json'
CHECKPOINTS = 'checkpoints'


@dataclasses.dataclass(frozen=True)
class Experiment:
  """What `build` makes.

  Attributes:
    settings: checked, with every part's options filled in.
    gan: the game.
    hyper: starting values of `state.hyper`.
    shape: of one example.
    train: the training source.
    test: the held-out source.
    devices: that the train step will run on.
    train_step: written for one device, with `axis_name=parallel.AXIS`.
  """

  settings: settings.Settings
  gan: game.GAN
  hyper: dict[str, float]
  shape: tuple[int, ...]
  train: data.Source
  test: data.Source
  devices: tuple[jax.Device, ...]
  train_step: steps.Step

  @property
  def key(self) -> jax.Array:
    """The run's base key."""
    return jax.random.key(self.settings.seed)

  def init_state(self) -> state.GANState:
    """The state at step 0, on the default device."""
    return init_state(self.gan, self.hyper, self.shape, self.settings.seed)

  def parallelise(self) -> parallel.Parallel:
    """The train step on the devices, with what places its arguments."""
    return parallel.parallelise(
      self.train_step, self.devices, backend=self.settings.parallel
    )

  def batches(self, start: int = 0, put=lambda batch: batch) -> data.Pipeline:
    """The training batches from a step on."""
    return data.Pipeline(
      self.train,
      seed=self.settings.seed,
      batch_size=self.settings.batch_size,
      d_steps=self.settings.d_steps,
      start=start,
      put=put,
    )


def init_state(
  gan: game.GAN, hyper: Mapping[str, float], shape: tuple[int, ...], seed: int
) -> state.GANState:
  """The state at step 0 of a game on examples of some shape, compiled."""
  # Folded apart from the keys of the steps, which fold in 0, 1, 2, ...
  key = jax.random.fold_in(jax.random.key(seed), 2**32 - 1)
  batch = {'x': jnp.zeros((2, *shape)), 'label': jnp.zeros(2, jnp.int32)}
  return jax.jit(lambda k: state.init_state(gan, k, batch, hyper))(key)


def build(
  mapping: Mapping[str, Any],
  *,
  train: data.Source | None = None,
  test: data.Source | None = None,
) -> Experiment:
  """Builds an experiment and checks all of it, before anything compiles.

  Args:
    mapping: settings, see settings.Settings; missing ones take the default.
    train: a training source of your own, in place of `mapping['data']`.
    test: its held-out part; None takes the training source.

  Returns:
    The experiment.

  Raises:
    ValueError: for an unknown key or name, a bad value, a batch that does not
      divide by the devices or exceeds the data, shapes that do not fit.
    FileNotFoundError: for data that are not there.
  """
  chosen = settings.parse(mapping)
  devices = tuple(parallel.local_devices(chosen.num_devices))
  parallel.check_divides(chosen.batch_size, len(devices))
  if chosen.batch_size // len(devices) % chosen.micro_batches:
    raise ValueError(
      f'micro_batches={chosen.micro_batches} does not divide the '
      f'{chosen.batch_size // len(devices)} examples of each device'
    )
  if chosen.parallel not in parallel.BACKENDS:
    raise ValueError(
      settings.unknown(chosen.parallel, parallel.BACKENDS, 'parallel')
    )
  if train is None:
    chosen = dataclasses.replace(chosen, data=data.source_options(chosen.data))
    train = data.make_source(chosen.data, 'train')
    test = data.make_source(chosen.data, 'test')
  else:
    chosen = dataclasses.replace(chosen, data={'name': 'own'})
  if chosen.batch_size > len(train):
    raise ValueError(
      f'batch_size={chosen.batch_size}: the training split has only '
      f'{len(train)} examples'
    )
  shape = tuple(train.shape)
  gan, hyper, chosen = assemble.build_gan(chosen, shape)
  train_step = steps.make_train_step(
    gan,
    d_steps=chosen.d_steps,
    same_latents=chosen.same_latents,
    axis_name=parallel.AXIS,
    micro_batches=chosen.micro_batches,
  )
  built = Experiment(
    settings=chosen,
    gan=gan,
    hyper=hyper,
    shape=shape,
    train=train,
    test=train if test is None else test,
    devices=devices,
    train_step=train_step,
  )
  _check_shapes(built)
  return built


def _check_shapes(built: Experiment) -> None:
  """Traces a step without compiling it: shapes that do not fit raise here."""
  chosen = built.settings
  abstract = jax.eval_shape(built.init_state)
  example = built.train[np.zeros(1, np.int64)]
  lead = (chosen.d_steps, chosen.batch_size // len(built.devices))
  batch = {
    name: jax.ShapeDtypeStruct((*lead, *x.shape[1:]), x.dtype)
    for name, x in example.items()
  }
  step = parallel.emulate(built.train_step, 1)
  try:
    jax.eval_shape(step, abstract, batch, built.key)
  except AssertionError as error:  # chex: shapes that would broadcast
    raise ValueError(f'the step does not fit together: {error}') from error


def describe(built: Experiment) -> dict[str, Any]:
  """What a run's config.json holds: settings, shape of the data, versions."""
  return {
    'settings': json.loads(json.dumps(dataclasses.asdict(built.settings))),
    'shape': list(built.shape),
    'versions': {
      'gan_jax': __version__,
      'jax': jax.__version__,
      'numpy': np.__version__,
    },
  }


def read_config(workdir: str | pathlib.Path) -> dict[str, Any]:
  """Reads what a run's directory says of it.

  Raises:
    FileNotFoundError: where the directory holds no run.
  """
  path = pathlib.Path(workdir) / CONFIG_FILE
  if not path.exists():
    raise FileNotFoundError(f'{workdir} holds no run: there is no {path}')
  return json.loads(path.read_text())


def examples(source: data.Source, count: int) -> np.ndarray:
  """The first examples of a source, as float32; fewer where it has fewer."""
  indices = np.arange(min(count, len(source)))
  return np.asarray(steps.to_float(jnp.asarray(source[indices]['x'])))


def start(
  built: Experiment, workdir: pathlib.Path, init_from: str = ''
) -> tuple[state.GANState, str]:
  """The state that a run begins with: its own checkpoint, or a fresh one.

  Args:
    built: the experiment.
    workdir: the run's directory, made if missing.
    init_from: directory of another run, whose weights (not its optimizer or
      step) a fresh run takes; '' for none.

  Returns:
    The state, and a sentence that says where it comes from.

  Raises:
    ValueError: where the directory holds a run of another config, or
      init_from one of other networks; the leaves that differ are named.
    FileNotFoundError: where init_from holds no run.
  """
  workdir.mkdir(parents=True, exist_ok=True)
  if (workdir / CONFIG_FILE).exists():
    old = read_config(workdir)['settings']
    _refuse(
      settings.differences(old, dataclasses.asdict(built.settings)),
      f'{workdir} holds a run of another config; it differs in',
      'Choose another --workdir, or the old values.',
    )
    with checkpoint.Checkpoints(workdir / CHECKPOINTS) as saved:
      step = saved.latest()
      if step is not None:
        like = jax.eval_shape(built.init_state)
        total = built.settings.num_steps
        note = f'continues from the checkpoint of step {step} of {total}'
        return saved.restore(like), note
  fresh = built.init_state()
  if not init_from:
    return fresh, 'a new run'
  _, other, shape, trained = restore(init_from)
  parts = ('generator', 'discriminator', 'latent_dim')
  facts = lambda chosen, shape: {
    'shape': list(shape),
    **{name: getattr(chosen, name) for name in parts},
  }
  _refuse(
    settings.differences(
      facts(other, shape), facts(built.settings, built.shape)
    ),
    f'the networks of {init_from} do not fit; they differ in',
    'Weights can be taken from the same networks alone.',
  )
  take = lambda new, old: new.replace(params=old.params, stats=old.stats)
  fresh = fresh.replace(
    generator=take(fresh.generator, trained.generator),
    discriminator=take(fresh.discriminator, trained.discriminator),
    ema=trained.ema,
  )
  note = f'a new run from the weights of {init_from}, step {trained.step}'
  return fresh, note


def _refuse(different: Mapping[str, tuple], reason: str, advice: str) -> None:
  if different:
    listed = ''.join(
      f'\n  {leaf}: {old!r} there, {new!r} now'
      for leaf, (old, new) in different.items()
    )
    raise ValueError(f'{reason}{listed}\n{advice}')


def make_draw(gan: game.GAN) -> Callable[..., np.ndarray]:
  """Makes the function that draws any number of samples, in batches.

  Args:
    gan: the game.

  Returns:
    (weights, count, *, seed=0, batch_size=256) -> `[count, ...]` float32
    numpy; weights as for steps.make_sample_fn. The i-th sample depends on the
    seed and i alone. Raises ValueError for a count or batch_size below 1.
  """
  sample = jax.jit(steps.make_sample_fn(gan))

  @functools.partial(jax.jit, static_argnums=2)
  def draw_latents(key, start, size):
    keys = latents.example_keys(key, start + jnp.arange(size))
    return latents.normal(keys, gan.latent_dim)

  def draw(weights, count, *, seed=0, batch_size=256):
    if min(count, batch_size) < 1:
      raise ValueError(
        f'count={count}, batch_size={batch_size}: must be at least 1'
      )
    key, size = jax.random.key(seed), min(batch_size, count)
    parts = [
      np.asarray(sample(weights, draw_latents(key, start, size)))
      for start in range(0, count, size)
    ]
    return np.concatenate(parts)[:count]

  return draw


@dataclasses.dataclass(frozen=True)
class Sampler:
  """The generator of a finished run, as a function.

  Attributes:
    settings: of the run.
    shape: of one example.
    step: train steps of the checkpoint.
    weights: (params, stats) of the generator.
    draw: as make_draw makes it.
  """

  settings: settings.Settings
  shape: tuple[int, ...]
  step: int
  weights: Any
  draw: Callable[..., np.ndarray]

  def __call__(
    self, count: int, *, seed: int = 0, batch_size: int = 256
  ) -> np.ndarray:
    """Draws samples; the i-th depends on the seed and i alone.

    Args:
      count: how many.
      seed: of the latents.
      batch_size: how many at a time.

    Returns:
      `[count, *shape]` float32, images in [-1, 1].

    Raises:
      ValueError: for a count or batch_size below 1.
    """
    return self.draw(self.weights, count, seed=seed, batch_size=batch_size)


def restore(
  workdir: str | pathlib.Path,
) -> tuple[game.GAN, settings.Settings, tuple[int, ...], state.GANState]:
  """Reads the newest checkpoint of a run.

  Returns:
    The game, its settings, the shape of one example, and the state.

  Raises:
    FileNotFoundError: where there is no run, or it has no checkpoint yet.
  """
  config = read_config(workdir)
  chosen, shape = settings.parse(config['settings']), tuple(config['shape'])
  gan, hyper, chosen = assemble.build_gan(chosen, shape)
  like = jax.eval_shape(lambda: init_state(gan, hyper, shape, chosen.seed))
  with checkpoint.Checkpoints(
    pathlib.Path(workdir) / CHECKPOINTS, keep=chosen.keep_checkpoints
  ) as saved:
    return gan, chosen, shape, saved.restore(like)


def load(workdir: str | pathlib.Path, *, weights: str = 'ema') -> Sampler:
  """The sampling function of a run.

  Args:
    workdir: the run's directory.
    weights: 'ema', the moving average, or 'raw'.

  Returns:
    The sampler: `load('runs/digits')(64)` is `[64, 16, 16, 1]`.

  Raises:
    FileNotFoundError: where there is no run, or it has no checkpoint yet.
    ValueError: for other weights.
  """
  if weights not in ('ema', 'raw'):
    raise ValueError(f"weights={weights!r}: choose one of ('ema', 'raw')")
  gan, chosen, shape, restored = restore(workdir)
  raw = (restored.generator.params, restored.generator.stats)
  picked = restored.ema if weights == 'ema' else raw
  return Sampler(chosen, shape, int(restored.step), picked, make_draw(gan))
