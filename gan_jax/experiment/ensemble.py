"""An ensemble with all that it needs: many runs as one program.

from gan_jax import team
crew = ensemble.build_ensemble({'data': {'name': 'ring'}, 'ensemble': {
  'seeds': 4, 'sweep': 'penalties.r1.weight=logspace(-3,0,4)'}})
crew.members[5].point  # {'penalties.r1.weight': 0.01}
"""

import dataclasses
from typing import Any, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import config as config_lib
from gan_jax import data, training
from gan_jax.data import device_feed
from gan_jax.distributed import devices as devices_lib
from gan_jax.experiment import build_gan, experiment, sweep
from gan_jax.experiment import program as program_lib
from gan_jax.training import ensemble, fused, nonfinite


@dataclasses.dataclass(frozen=True)
class EnsembleExperiment:
  """Many runs as one program.

  Attributes:
    base: the experiment that the members vary; its settings are those of the
      ensemble.
    members: in the order of the states' first axis.
    hparams: starting values of `state.hparams`, `[M]` each.
    devices: that share the members.
  """

  base: experiment.Experiment
  members: list[sweep.SweepMember]
  hparams: dict[str, np.ndarray]
  devices: tuple[jax.Device, ...]

  @property
  def config(self) -> config_lib.Config:
    """Of the ensemble."""
    return self.base.config

  @property
  def shape(self) -> tuple[int, ...]:
    """Of one example."""
    return self.base.shape

  @property
  def train(self) -> data.Source:
    """The training source, which all members share."""
    return self.base.train

  @property
  def test(self) -> data.Source:
    """The held-out source."""
    return self.base.test

  @property
  def streams(self) -> fused.RandomStreams:
    """What everything random of the members comes from, `[M]`."""
    return ensemble.stack_members(
      [fused.make_streams(member.config.seed) for member in self.members]
    )

  def init_state(self) -> training.GANState:
    """The members' states at step 0, `[M, ...]`; each as its run alone has."""
    experiment, seeds = self.base, [m.config.seed for m in self.members]
    init = build_gan.make_init_fn(
      experiment.gan,
      experiment.hparams,
      experiment.shape,
      build_gan.aux_state_options(experiment.config),
    )
    fresh = {seed: init(seed) for seed in set(seeds)}
    states = ensemble.stack_members([fresh[seed] for seed in seeds])
    hparams = {n: jnp.asarray(v, jnp.float32) for n, v in self.hparams.items()}
    return states.replace(hparams=hparams)

  def abstract_state(self) -> training.GANState:
    """Shapes and types of the states, computing nothing."""
    return ensemble.stacked_member_shapes(
      self.base.abstract_state(), len(self.members)
    )

  def program(self, way: str = '') -> program_lib.TrainProgram:
    """Many train steps of all members as one compiled call, and its feed.

    Args:
      way: of training.vectorize_members; '' takes `ensemble.way` of the settings.
    """
    experiment, config = self.base, self.config
    way = way or config.ensemble['way']
    step = nonfinite.freeze_nonfinite(
      build_gan.build_train_step(experiment.gan, config, None)
    )
    return program_lib.make_train_program(
      step,
      experiment.train,
      config,
      self.devices,
      many=lambda run: training.vectorize_members(run, way),
    )


def _member_hparams(
  found: list[sweep.SweepMember], shape
) -> dict[str, np.ndarray]:
  """Values of state.hparams by member; refuses what does not end up there."""
  points = [tuple(member.point.items()) for member in found]
  by_point = {
    point: build_gan.build_gan(member.config, shape)[1]
    for point, member in dict(zip(points, found)).items()
  }
  names = {frozenset(values) for values in by_point.values()}
  if len(names) > 1:
    apart = sorted(frozenset.union(*names) - frozenset.intersection(*names))
    raise ValueError(
      f'ensemble.sweep: {", ".join(apart)} would be in the program for some '
      'values and not for others (0 leaves the term out): all must be above 0; '
      'run the control without it by itself'
    )
  rows = [by_point[point] for point in points]
  return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _check_swept(config: config_lib.Config, shape) -> None:
  """Refuses settings that are part of the program, not of `state.hparams`."""
  for axis in sweep.parse_sweep(config.ensemble['sweep']):
    low, high = min(axis.values), max(axis.values)
    if low == high:
      continue
    for leaf in axis.leaves:
      alone = {'seeds': 1, 'sweep': f'{leaf}={low!r},{high!r}'}
      varied = dataclasses.replace(config, ensemble=config.ensemble | alone)
      hparams = _member_hparams(sweep.expand_sweep(varied), shape)
      if all(len(set(values)) == 1 for values in hparams.values()):
        raise ValueError(
          f'ensemble.sweep: {leaf} is part of the program and the same for all '
          f'members; what can be swept lives in state.hparams: {sorted(hparams)}'
        )


def build_ensemble(
  mapping: Mapping[str, Any], **sources: Any
) -> EnsembleExperiment:
  """Builds an ensemble and checks all of it, before anything compiles.

  Args:
    mapping: settings, see config_lib.Config, `ensemble` among them.
    **sources: `train` and `test` of experiment.build, for data of your own.

  Returns:
    The ensemble. Its devices are as many of those asked for as divide the
    number of members.

  Raises:
    ValueError: as experiment.build; for a sweep of what cannot be swept, or
      data too large to live on the device.
  """
  given = config_lib.from_mapping(mapping)
  sweep.check_size(given)
  if given.nonfinite != 'halt':
    raise ValueError(
      f'nonfinite={given.nonfinite!r}: a member of an ensemble that diverges is '
      "frozen, and the others go on; must be 'halt'"
    )
  devices = devices_lib.local_devices(given.num_devices)
  # Devices share members, not batches: each member has one device.
  alone = dataclasses.replace(given, num_devices=1)
  base = experiment.build(alone, **sources)
  config = dataclasses.replace(base.config, num_devices=given.num_devices)
  found = sweep.expand_sweep(config)
  _check_swept(config, base.shape)
  # The game is a member's: what is swept may be absent from the base, at 0.
  gan, one, _ = build_gan.build_gan(found[0].config, base.shape)
  base = dataclasses.replace(base, config=config, gan=gan, hparams=one)
  if not program_lib.fits_on_device(base.train, config):
    raise ValueError(
      f'resident_mb={config.resident_mb}: the members of an ensemble draw '
      'their own batches from examples that live on the device, and these '
      f'are {device_feed.source_nbytes(base.train) / 2**20:.1f} MB'
    )
  most = max(n for n in range(1, len(devices) + 1) if len(found) % n == 0)
  return EnsembleExperiment(
    base, found, _member_hparams(found, base.shape), tuple(devices[:most])
  )
