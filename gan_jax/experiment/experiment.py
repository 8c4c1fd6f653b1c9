"""From a plain mapping to everything that a program needs.

A notebook, train.py and whatever reads a finished run share this builder:

  built = experiment.build({'data': {'name': 'digits'}, 'num_steps': 100})
  sample = run_dir.load_sampler('runs/digits')  # a finished run
  images = sample(64)                      # [64, 16, 16, 1] in [-1, 1]
"""

import dataclasses
from typing import Any, Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import (
  config,
  data,
  distributed,
  evaluation,
  pixels,
  training,
  validation,
)
from gan_jax.distributed import devices as devices_lib
from gan_jax.distributed import multihost
from gan_jax.evaluation import failure_modes, reference_data, results
from gan_jax.experiment import build_gan, compatibility
from gan_jax.experiment import program as program_lib
from gan_jax.experiment.run_dir import load_sampler
from gan_jax.training import fused, nonfinite, update_rules

__all__ = ['Experiment', 'build', 'take_examples', 'load_sampler']


@dataclasses.dataclass(frozen=True)
class Experiment:
  """What `build` makes.

  Attributes:
    settings: checked, with every part's options filled in.
    gan: the game.
    hparams: starting values of `state.hparams`.
    shape: of one example.
    train: the training source.
    test: the held-out source.
    devices: that the train step will run on, of all processes.
    train_step: written for one device, with `axis_name=devices.AXIS_NAME`.
  """

  config: config.Config
  gan: training.GAN
  hparams: dict[str, float]
  shape: tuple[int, ...]
  train: data.Source
  test: data.Source
  devices: tuple[jax.Device, ...]
  train_step: update_rules.Step

  @property
  def own_devices(self) -> list[jax.Device]:
    """Those of the devices that belong to this process."""
    return devices_lib.addressable_devices(self.devices)

  @property
  def key(self) -> jax.Array:
    """The run's base key."""
    return self.draws.key

  @property
  def draws(self) -> fused.RandomStreams:
    """What everything random of the run comes from."""
    return fused.make_streams(self.settings.seed)

  def init_state(self) -> training.GANState:
    """The state at step 0, on the default device."""
    init = build_gan.make_init_fn(
      self.gan, self.hparams, self.shape, self._memory
    )
    return init(self.settings.seed)

  def state_shapes(self) -> training.GANState:
    """Shapes and types of the state, computing nothing."""
    return build_gan.abstract_state(
      self.gan, self.hparams, self.shape, self._memory
    )

  @property
  def _memory(self) -> dict[str, Any]:
    return build_gan.aux_state_options(self.settings)

  def batch_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of a step's batch on all devices, uint8 or float."""
    example = self.train[np.zeros(1, np.int64)]
    lead = (self.settings.d_steps, self.settings.batch_size)
    return {
      name: jax.ShapeDtypeStruct((*lead, *x.shape[1:]), x.dtype)
      for name, x in example.items()
    }

  def parallelise(self) -> devices_lib.ParallelStep:
    """The train step on the devices, with what places its arguments."""
    return distributed.parallelize_step(
      self.train_step, self.devices, backend=self.settings.parallel
    )

  def program(self) -> program_lib.TrainProgram:
    """Many train steps as one compiled call on the devices, and its feed."""
    return program_lib.make_train_program(
      self.train_step, self.train, self.settings, self.devices
    )

  def health_check(self) -> Callable[[training.GANState], dict[str, float]]:
    """State -> how both players do (health.py), of 256 examples or a batch."""
    size = self.settings.batch_size // len(self.devices)
    count = max(256, size)
    return failure_modes.make_health_probe(
      self.gan,
      take_examples(self.train, count),
      take_examples(self.test, count),
      self.state_shapes(),
      batch_size=size,
    )

  def judge(self, **more: Any) -> evaluation.Evaluator:
    """What scores examples by `settings.eval` against this data.

    Args:
      **more: `store`, `track` of evaluation.Evaluator.

    Raises:
      ValueError: as evaluation.Evaluator does, and for a score that needs classes,
        which the samples of a run do not have.
    """
    for name in results.parse_metrics(self.settings.eval['metrics']):
      if evaluation.METRICS[name].labels:
        raise ValueError(
          f'eval.metrics: {name!r} needs classes, which samples of this run '
          'do not have'
        )
    facts = data_identity(self.settings.data)
    if self.test is self.train:  # none was held out
      real = reference_data.split_half_reference(self.train, facts)
    else:
      real = reference_data.train_test_references(self.train, self.test, facts)
    return evaluation.make_evaluator(
      real,
      self.settings.eval,
      devices=self.own_devices,
      seed=self.settings.seed,
      **more,
    )

  def batches(
    self, start: int = 0, put=lambda batch: batch
  ) -> data.BatchIterator:
    """The training batches from a step on."""
    return data.BatchIterator(
      self.train,
      seed=self.settings.seed,
      batch_size=self.settings.batch_size,
      d_steps=self.settings.d_steps,
      start=start,
      put=put,
      part=(multihost.process_index(), multihost.process_count()),
    )


def build(
  mapping: Mapping[str, Any],
  *,
  train: data.Source | None = None,
  test: data.Source | None = None,
) -> Experiment:
  """Builds an experiment and checks all of it, before anything compiles.

  Args:
    mapping: settings, see config.Config; missing ones take the default.
    train: a training source of your own, in place of `mapping['data']`.
    test: its held-out part; None takes the training source.

  Returns:
    The experiment.

  Raises:
    ValueError: for an unknown key or name, a bad value, a batch that does not
      divide by the devices or exceeds the data, shapes that do not fit.
    FileNotFoundError: for data that are not there.
  """
  chosen = config.from_mapping(mapping)
  devices = tuple(devices_lib.global_devices(chosen.num_devices))
  devices_lib.check_divisible(chosen.batch_size, len(devices))
  if chosen.batch_size // len(devices) % chosen.micro_batches:
    raise ValueError(
      f'micro_batches={chosen.micro_batches} does not divide the '
      f'{chosen.batch_size // len(devices)} examples of each device'
    )
  if chosen.parallel not in devices_lib.BACKENDS:
    raise ValueError(
      validation.unknown_name_message(
        chosen.parallel, devices_lib.BACKENDS, 'parallel'
      )
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
  gan, hparams, chosen = build_gan.build_gan(chosen, shape)
  step = build_gan.build_train_step(gan, chosen, devices_lib.AXIS_NAME)
  guard = (
    nonfinite.skip_nonfinite
    if chosen.nonfinite == 'skip'
    else lambda step: step
  )
  built = Experiment(
    settings=chosen,
    gan=gan,
    hparams=hparams,
    shape=shape,
    train=train,
    test=train if test is None else test,
    devices=devices,
    # As a jit it is traced once, for the check below and for the program.
    train_step=jax.jit(guard(step), inline=True),
  )
  _check_shapes(built)
  return built


def _check_shapes(built: Experiment) -> None:
  """Traces a step without compiling it: shapes that do not fit raise here."""
  batch = built.batch_shapes()
  label = batch.get('label')
  if label is not None and (len(label.shape) != 2 or label.dtype != np.int32):
    raise ValueError(
      f'labels of type {label.dtype} and shape [n, *{label.shape[2:]}]; must '
      'be int32 of shape [n]'
    )
  share = lambda x: x.update(
    shape=(x.shape[0], x.shape[1] // multihost.process_count(), *x.shape[2:])
  )
  batch = jax.tree.map(share, batch)
  placed = distributed.parallelize_step(
    built.train_step, built.own_devices, backend=built.settings.parallel
  )
  step = lambda state, x, key: placed.step(state, placed.put_batch(x), key)
  try:
    jax.eval_shape(step, built.state_shapes(), batch, built.key)
  except AssertionError as error:  # chex: shapes that would broadcast
    raise ValueError(f'the step does not fit together: {error}') from error


def data_identity(spec: Mapping[str, Any]) -> dict[str, Any]:
  """A data spec without what does not change its examples."""
  mere = [
    leaf.partition('.')[2]
    for leaf in compatibility.RESUMABLE_FIELDS
    if leaf.startswith('data.')
  ]
  return {'data': {k: v for k, v in spec.items() if k not in mere}}


def take_examples(source: data.Source, count: int) -> np.ndarray:
  """Some examples of a source, as float32; fewer where it has fewer."""
  shuffled = np.random.default_rng(0).permutation(len(source))
  indices = shuffled[:count]
  return np.asarray(pixels.to_float(jnp.asarray(source[indices]['x'])))
