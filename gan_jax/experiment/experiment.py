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
  config as config_lib,
)
from gan_jax import (
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

  config: config_lib.Config
  gan: training.GAN
  hparams: dict[str, float]
  shape: tuple[int, ...]
  train: data.Source
  test: data.Source
  devices: tuple[jax.Device, ...]
  train_step: update_rules.Step

  @property
  def local_devices(self) -> list[jax.Device]:
    """Those of the devices that belong to this process."""
    return devices_lib.addressable_devices(self.devices)

  @property
  def key(self) -> jax.Array:
    """The run's base key."""
    return self.streams.key

  @property
  def streams(self) -> fused.RandomStreams:
    """What everything random of the run comes from."""
    return fused.make_streams(self.config.seed)

  def init_state(self) -> training.GANState:
    """The state at step 0, on the default device."""
    init = build_gan.make_init_fn(
      self.gan, self.hparams, self.shape, self._memory
    )
    return init(self.config.seed)

  def abstract_state(self) -> training.GANState:
    """Shapes and types of the state, computing nothing."""
    return build_gan.abstract_state(
      self.gan, self.hparams, self.shape, self._memory
    )

  @property
  def _memory(self) -> dict[str, Any]:
    return build_gan.aux_state_options(self.config)

  def abstract_batch(self) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of a step's batch on all devices, uint8 or float."""
    example = self.train[np.zeros(1, np.int64)]
    lead = (self.config.d_steps, self.config.batch_size)
    return {
      name: jax.ShapeDtypeStruct((*lead, *x.shape[1:]), x.dtype)
      for name, x in example.items()
    }

  def parallel_train_step(self) -> devices_lib.ParallelStep:
    """The train step on the devices, with what places its arguments."""
    return distributed.parallelize_step(
      self.train_step, self.devices, backend=self.config.parallel
    )

  def program(self) -> program_lib.TrainProgram:
    """Many train steps as one compiled call on the devices, and its feed."""
    return program_lib.make_train_program(
      self.train_step, self.train, self.config, self.devices
    )

  def make_health_probe(
    self,
  ) -> Callable[[training.GANState], dict[str, float]]:
    """State -> how both players do (health.py), of 256 examples or a batch."""
    size = self.config.batch_size // len(self.devices)
    count = max(256, size)
    return failure_modes.make_health_probe(
      self.gan,
      take_examples(self.train, count),
      take_examples(self.test, count),
      self.abstract_state(),
      batch_size=size,
    )

  def make_evaluator(self, **more: Any) -> evaluation.Evaluator:
    """What scores examples by `settings.eval` against this data.

    Args:
      **more: `store`, `track` of evaluation.Evaluator.

    Raises:
      ValueError: as evaluation.Evaluator does, and for a score that needs classes,
        which the samples of a run do not have.
    """
    for name in results.parse_metrics(self.config.eval['metrics']):
      if evaluation.METRICS[name].needs_labels:
        raise ValueError(
          f'eval.metrics: {name!r} needs classes, which samples of this run '
          'do not have'
        )
    facts = data_identity(self.config.data)
    if self.test is self.train:  # none was held out
      real = reference_data.split_half_reference(self.train, facts)
    else:
      real = reference_data.train_test_references(self.train, self.test, facts)
    return evaluation.make_evaluator(
      real,
      self.config.eval,
      devices=self.local_devices,
      seed=self.config.seed,
      **more,
    )

  def batches(
    self, start: int = 0, put=lambda batch: batch
  ) -> data.BatchIterator:
    """The training batches from a step on."""
    return data.BatchIterator(
      self.train,
      seed=self.config.seed,
      batch_size=self.config.batch_size,
      d_steps=self.config.d_steps,
      start=start,
      put=put,
      shard=(multihost.process_index(), multihost.process_count()),
    )


def build(
  mapping: Mapping[str, Any],
  *,
  train: data.Source | None = None,
  test: data.Source | None = None,
) -> Experiment:
  """Builds an experiment and checks all of it, before anything compiles.

  Args:
    mapping: settings, see config_lib.Config; missing ones take the default.
    train: a training source of your own, in place of `mapping['data']`.
    test: its held-out part; None takes the training source.

  Returns:
    The experiment.

  Raises:
    ValueError: for an unknown key or name, a bad value, a batch that does not
      divide by the devices or exceeds the data, shapes that do not fit.
    FileNotFoundError: for data that are not there.
  """
  config = config_lib.from_mapping(mapping)
  devices = tuple(devices_lib.global_devices(config.num_devices))
  devices_lib.check_divisible(config.batch_size, len(devices))
  if config.batch_size // len(devices) % config.micro_batches:
    raise ValueError(
      f'micro_batches={config.micro_batches} does not divide the '
      f'{config.batch_size // len(devices)} examples of each device'
    )
  if config.parallel not in devices_lib.BACKENDS:
    raise ValueError(
      validation.unknown_name_message(
        config.parallel, devices_lib.BACKENDS, 'parallel'
      )
    )
  if train is None:
    config = dataclasses.replace(config, data=data.source_options(config.data))
    train = data.make_source(config.data, 'train')
    test = data.make_source(config.data, 'test')
  else:
    config = dataclasses.replace(config, data={'name': 'own'})
  if config.batch_size > len(train):
    raise ValueError(
      f'batch_size={config.batch_size}: the training split has only '
      f'{len(train)} examples'
    )
  shape = tuple(train.shape)
  gan, hparams, config = build_gan.build_gan(config, shape)
  step = build_gan.build_train_step(gan, config, devices_lib.AXIS_NAME)
  guard = (
    nonfinite.skip_nonfinite
    if config.nonfinite == 'skip'
    else lambda step: step
  )
  experiment = Experiment(
    config=config,
    gan=gan,
    hparams=hparams,
    shape=shape,
    train=train,
    test=train if test is None else test,
    devices=devices,
    # As a jit it is traced once, for the check below and for the program.
    train_step=jax.jit(guard(step), inline=True),
  )
  _check_shapes(experiment)
  return experiment


def _check_shapes(experiment: Experiment) -> None:
  """Traces a step without compiling it: shapes that do not fit raise here."""
  batch = experiment.abstract_batch()
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
    experiment.train_step,
    experiment.local_devices,
    backend=experiment.config.parallel,
  )
  batch = jax.eval_shape(placed.put_batch, batch)
  state = experiment.abstract_state()
  try:
    jax.eval_shape(placed.step, state, batch, experiment.key)
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
