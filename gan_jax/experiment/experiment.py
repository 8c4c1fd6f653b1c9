"""Builds everything that a program needs from a config.

experiment = build({'data': {'name': 'digits'}, 'num_steps': 100})
state = experiment.init_state()
"""

import dataclasses
import functools
from typing import Any, Callable

import jax
import numpy as np

from gan_jax import config as config_lib
from gan_jax import (
  data,
  distributed,
  evaluation,
  pixels,
  sampling,
  training,
)
from gan_jax.distributed import devices as devices_lib
from gan_jax.distributed import multihost
from gan_jax.evaluation import failure_modes, reference_data
from gan_jax.experiment import (
  build_gan,
  build_hparams,
  compatibility,
  own_parts,
)
from gan_jax.experiment import program as program_lib
from gan_jax.training import fused, nonfinite, update_rules


@dataclasses.dataclass(frozen=True)
class Experiment:
  """A config with its GAN, data, devices and train step.

  Attributes:
    config: resolved config.
    gan: the GAN.
    hparams: starting values of `state.hparams`.
    shape: shape of one example.
    train: source of the training examples.
    test: source of the held-out examples.
    devices: devices of all processes that the train step runs on.
    train_step: train step for one device, with `axis_name=devices.AXIS_NAME`.
    parts: networks, loss and data that were passed in place of the config's.
  """

  config: config_lib.Config
  gan: training.GAN
  hparams: dict[str, float]
  shape: tuple[int, ...]
  train: data.Source
  test: data.Source
  devices: tuple[jax.Device, ...]
  train_step: update_rules.Step
  parts: own_parts.OwnParts = own_parts.OwnParts()

  def __repr__(self) -> str:  # without the config's many fields
    config = self.config
    return (
      f'Experiment({len(self.train)} examples of {config.data.name}, '
      f'generator={config.generator.name!r}, '
      f'discriminator={config.discriminator.name!r}, loss={config.loss!r}, '
      f'num_steps={config.num_steps})'
    )

  @property
  def local_devices(self) -> list[jax.Device]:
    """Devices of this process."""
    return devices_lib.addressable_devices(self.devices)

  @property
  def sample_rate(self) -> int:
    """Sample rate of the examples in Hz if they are sound; otherwise 0."""
    return data.sample_rate(self.train)

  @property
  def example_kind(self) -> str:
    """Word for several examples: 'images', 'clips' or 'points'."""
    if self.sample_rate:
      return 'clips'
    return 'images' if len(self.shape) == 3 else 'points'

  @property
  def key(self) -> jax.Array:
    """Base key of the run."""
    return self.streams.key

  @property
  def streams(self) -> fused.RandomStreams:
    """Sources of all randomness in the run."""
    return fused.make_streams(self.config.seed)

  def init_state(self) -> training.GANState:
    """Returns the state at step 0, on the default device."""
    return self.init_fn(self.config.seed)

  @functools.cached_property
  def init_fn(self) -> Callable[[int], training.GANState]:
    """Compiled function from a seed to the state at step 0."""
    return build_gan.compile_init(self._init)

  def abstract_state(self) -> training.GANState:
    """Returns the shapes and types of the state, without computing it."""
    return build_gan.abstract_state(self._init)

  @functools.cached_property
  def _init(self) -> build_gan.InitFn:
    return build_gan.build_init(
      self.gan, self.config, self.shape, self.hparams, self.label_spec
    )

  @functools.cached_property
  def label_spec(self) -> Any:
    """Shapes and types of the labels of one example.

    Those of a class if all networks are the library's, None if there are no
    labels.
    """
    if self._has_own_networks:
      return own_parts.label_spec(self.train)
    return build_gan.CLASS

  @property
  def _has_own_networks(self) -> bool:
    return bool({'generator', 'discriminator'} & {*self.parts.described})

  @property
  def is_conditional(self) -> bool:
    """Whether the networks receive labels.

    They do if the config says so, and if they are own networks and the data
    are labeled.
    """
    has_own = self._has_own_networks and self.label_spec is not None
    return self.config.conditional or has_own

  def labels(self, indices: np.ndarray) -> Any:
    """Returns the labels of generated examples.

    They are classes, as frequent as among the training examples, or, for own
    networks, the labels of held-out examples.

    Args:
      indices: indices of the generated examples, `[n]`.

    Returns:
      Labels `[n, ...]`, or None if the networks receive none.
    """
    if not self.is_conditional:
      return None
    if self.config.conditional:
      return sampling.label_fn(self.gan)(indices)
    return sample_labels(self.test, indices)

  def abstract_batch(self) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns the shapes and types of a step's batch on all devices."""
    example = self.train[np.zeros(1, np.int64)]
    lead = (self.config.d_steps, self.config.batch_size)
    abstract = lambda x: jax.ShapeDtypeStruct((*lead, *x.shape[1:]), x.dtype)
    return jax.tree.map(abstract, example)

  def parallel_train_step(self) -> devices_lib.ParallelStep:
    """Returns the train step on the devices, and how to place its arguments."""
    return distributed.parallelize_step(
      self.train_step, self.devices, backend=self.config.parallel
    )

  def program(self) -> program_lib.TrainProgram:
    """Builds the program of many train steps in one call, and its feed."""
    return program_lib.make_train_program(
      self.train_step, self.train, self.config, self.devices
    )

  def make_health_probe(
    self,
  ) -> Callable[[training.GANState], dict[str, float]]:
    """Builds the function from a state to facts about both players.

    See failure_modes.make_health_probe; it looks at 256 examples, or a batch.
    """
    size = self.config.batch_size // len(self.devices)
    count = max(256, size)
    sides = [
      take_batch(source, count, with_labels=self.is_conditional)
      for source in (self.train, self.test)
    ]
    return failure_modes.make_health_probe(
      self.gan,
      *sides,
      self.abstract_state(),
      batch_size=size,
      labels=self.labels,
    )

  def make_evaluator(self, **more: Any) -> evaluation.Evaluator:
    """Builds the evaluator of `config.eval` with this data as reference.

    Args:
      **more: `store` and `track` of evaluation.Evaluator.

    Raises:
      ValueError: as evaluation.Evaluator does.
    """
    return evaluation.make_evaluator(
      make_references(self.config, self.train, self.test),
      self.config.eval,
      devices=self.local_devices,
      seed=self.config.seed,
      **more,
    )

  def batches(
    self, start: int = 0, put=lambda batch: batch
  ) -> data.BatchIterator:
    """Returns an iterator over training batches.

    Args:
      start: number of train steps done before the first batch.
      put: function that places a batch of numpy arrays.
    """
    return data.BatchIterator(
      program_lib.training_source(self.train, self.config),
      seed=self.config.seed,
      batch_size=self.config.batch_size,
      d_steps=self.config.d_steps,
      start=start,
      put=put,
      shard=(multihost.process_index(), multihost.process_count()),
    )


def build(
  config: Any,
  *,
  generator: Any = None,
  discriminator: Any = None,
  loss: Any = None,
  train: Any = None,
  test: Any = None,
) -> Experiment:
  """Builds an experiment and checks all of it, before anything compiles.

  Args:
    config: a config.Config, or a mapping of its fields; missing ones take
      their defaults.
    generator: network from latents `[B, Z]` to examples, in place of
      `config.generator`: a Linen module, a `Network`, `lambda rngs: ...` that
      makes an NNX module, or `lambda key: ...` that makes an Equinox module.
    discriminator: network from examples to logits `[B]`, likewise.
    loss: an AdversarialLoss, or a function (`state.hparams`, step) -> loss, in
      place of `config.loss`.
    train: training examples, in place of `config.data`: arrays, a mapping of
      arrays, or a dataset with `len()` and `[i]`; see data.as_source.
    test: held-out examples; None takes the training examples.

  Returns:
    The experiment.

  Raises:
    ValueError: for an unknown field or name, a bad value, a batch that does not
      divide by the devices or exceeds the data, or shapes that do not fit.
    TypeError: if a part is not of a kind that is listed above.
    FileNotFoundError: if data are missing.
  """
  parts = own_parts.make_own_parts(
    generator=generator,
    discriminator=discriminator,
    loss=loss,
    train=train,
    test=test,
  )
  return build_from_parts(config, parts)


def build_from_parts(config: Any, parts: own_parts.OwnParts) -> Experiment:
  """Builds an experiment, see `build`.

  Args:
    config: a config.Config, or a mapping of its fields.
    parts: networks, loss and data in place of the config's.
  """
  config = parts.mark(config)
  if not isinstance(config, config_lib.Config):
    config = config_lib.resolve(config)
  own_parts.check_parts(config, parts, ['train'])
  devices = tuple(devices_lib.global_devices(config.num_devices))
  train, test = open_sources(config, parts)
  shape = tuple(train.shape)
  class_share = data.class_share(train) if config.conditional else ()
  label = build_gan.CLASS
  if parts.generator or parts.discriminator:
    label = own_parts.label_spec(train)
  gan = build_gan.build_gan(config, shape, parts, class_share, label)
  step = build_gan.build_train_step(gan, config, devices_lib.AXIS_NAME)
  if config.nonfinite == 'skip':
    step = nonfinite.skip_nonfinite(step)
  experiment = Experiment(
    config=config,
    gan=gan,
    hparams=build_hparams.build_hparams(config),
    shape=shape,
    train=train,
    test=test,
    devices=devices,
    # As a jit it is traced once, for the check below and for the program.
    train_step=jax.jit(step, inline=True),
    parts=parts,
  )
  check_against_data(experiment)
  return experiment


def open_sources(
  config: config_lib.Config, parts: own_parts.OwnParts
) -> tuple[data.Source, data.Source]:
  """Opens the training and the held-out examples of a run.

  Args:
    config: resolved config.
    parts: data in place of the config's.

  Returns:
    The two sources; the same one twice if none is held out. Those of a
    conditional config have classes 0 .. classes - 1.

  Raises:
    ValueError: if a conditional config has data without classes, see
      data.match_classes.
  """
  if parts.train is not None:
    train = parts.train
    test = train if parts.test is None else parts.test
  else:
    spec = data_spec(config)
    train, test = (data.make_source(spec, s) for s in ('train', 'test'))
  return (
    data.match_classes(train, test) if config.conditional else (train, test)
  )


def make_references(
  config: config_lib.Config, train: data.Source, test: data.Source
) -> dict[str, reference_data.ReferenceData]:
  """Builds the real data that samples of a run are compared with.

  Args:
    config: resolved config.
    train: source of the training examples.
    test: source of the held-out examples, or `train` if there are none.
  """
  facts = data_identity(config)
  if test is train:
    return reference_data.split_half_reference(train, facts)
  return reference_data.train_test_references(train, test, facts)


def sample_labels(test: data.Source, indices: np.ndarray) -> Any:
  """Returns labels for generated examples, those of held-out examples.

  Args:
    test: source of the held-out examples.
    indices: indices of the generated examples, `[n]`.
  """
  order = np.random.default_rng(0).permutation(len(test))
  return test[order[np.asarray(indices) % len(order)]]['label']


def check_against_data(experiment: Experiment) -> None:
  """Checks a config against devices, data and shapes, without compiling.

  Args:
    experiment: the experiment.

  Raises:
    ValueError: if the batch does not divide by the devices, exceeds the data,
      or the step cannot be traced on it.
  """
  config, devices = experiment.config, experiment.devices
  devices_lib.check_divisible(config.batch_size, len(devices))
  share = config.batch_size // len(devices)
  if share % config.micro_batches:
    raise ValueError(
      f'micro_batches={config.micro_batches} does not divide the {share} '
      'examples of each device'
    )
  if config.batch_size > len(experiment.train):
    raise ValueError(
      f'batch_size={config.batch_size}: the training split has only '
      f'{len(experiment.train)} examples'
    )
  program_lib.training_source(experiment.train, config)  # may be refused
  batch = experiment.abstract_batch()
  label = batch.get('label')
  takes_any = experiment.is_conditional and not config.conditional
  if label is not None and not takes_any and not _is_class(label):
    raise ValueError(
      f'labels {label}: the networks of the library take int32 of shape [n]'
    )
  count = multihost.process_count()
  own = lambda x: x.update(
    shape=(x.shape[0], x.shape[1] // count, *x.shape[2:])
  )
  placed = distributed.parallelize_step(
    experiment.train_step, experiment.local_devices, backend=config.parallel
  )
  batch = jax.eval_shape(placed.put_batch, jax.tree.map(own, batch))
  state = experiment.abstract_state()
  try:
    jax.eval_shape(placed.step, state, batch, experiment.key)
  except AssertionError as error:  # of chex, for shapes that would broadcast
    raise ValueError(f'the step does not fit together: {error}') from error


def _is_class(label: Any) -> bool:
  """Whether labels of a step, `[d_steps, n]`, are classes."""
  is_array = hasattr(label, 'shape')
  return is_array and len(label.shape) == 2 and label.dtype == np.int32


def data_spec(config: config_lib.Config) -> dict[str, Any]:
  """Returns the name and the options of a config's data, for make_source.

  Args:
    config: resolved config.
  """
  options = config.data.options
  own = dataclasses.asdict(options) if options else {}
  return {'name': config.data.name, **own}


def data_identity(config: config_lib.Config) -> dict[str, Any]:
  """Returns what of a config decides which examples its data hold.

  Args:
    config: resolved config.
  """
  name, spec = config.data.name, data_spec(config)
  resumable = compatibility.RESUMABLE_FIELDS
  return {
    'data': {
      option: value
      for option, value in spec.items()
      if f'data.{name}.{option}' not in resumable
    }
  }


def take_examples(source: data.Source, count: int) -> np.ndarray:
  """Returns up to `count` random examples of a source, as float32."""
  return take_batch(source, count)['x']


def take_batch(
  source: data.Source, count: int, *, with_labels: bool = False
) -> dict[str, Any]:
  """Returns up to `count` random examples of a source, `{'x', 'label'?}`."""
  shuffled = np.random.default_rng(0).permutation(len(source))
  batch = source[shuffled[:count]]
  x = pixels.to_float(np.asarray(batch['x']))
  return {'x': x, 'label': batch['label']} if with_labels else {'x': x}
