"""Builds an ensemble: many runs as one program.

ensemble = build_ensemble({'ensemble': {
  'seeds': 4, 'sweep': 'penalties.r1.weight=logspace(-3,0,4)'}})
ensemble.members[5].point  # {'penalties.r1.weight': 0.01}

`points` lists the points instead, such as those that a search asks for.
"""

import dataclasses
from typing import Any, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import config as config_lib
from gan_jax import data, tracing, training
from gan_jax.distributed import devices as devices_lib
from gan_jax.experiment import (
  build_gan,
  build_hparams,
  experiment,
  own_parts,
  sweep,
)
from gan_jax.experiment import program as program_lib
from gan_jax.training import ensemble, fused, nonfinite


@dataclasses.dataclass(frozen=True)
class EnsembleExperiment:
  """Many runs as one program.

  Attributes:
    base: experiment that the members vary; its config is that of the ensemble.
    members: members in the order of the states' first axis.
    hparams: starting values of `state.hparams`, `[M]` each.
    devices: devices that share the members.
  """

  base: experiment.Experiment
  members: list[sweep.SweepMember]
  hparams: dict[str, np.ndarray]
  devices: tuple[jax.Device, ...]

  def __repr__(self) -> str:
    return f'EnsembleExperiment({len(self.members)} members of {self.base!r})'

  @property
  def config(self) -> config_lib.Config:
    """Config of the ensemble."""
    return self.base.config

  @property
  def shape(self) -> tuple[int, ...]:
    """Shape of one example."""
    return self.base.shape

  @property
  def train(self) -> data.Source:
    """Source of the training examples, which all members share."""
    return self.base.train

  @property
  def test(self) -> data.Source:
    """Source of the held-out examples."""
    return self.base.test

  @property
  def seeds(self) -> np.ndarray:
    """Seeds of the members, `[M]` uint32: of larger ones the last 32 bits."""
    seeds = [member.config.seed % 2**32 for member in self.members]
    return np.array(seeds, np.uint32)

  @property
  def streams(self) -> fused.RandomStreams:
    """Sources of all randomness of the members, `[M]`, as of single runs."""
    keys = jax.vmap(jax.random.key)(self.seeds)
    return fused.RandomStreams(keys, jnp.asarray(self.seeds))

  def init_state(self) -> training.GANState:
    """Returns the members' states at step 0, `[M, ...]`, as of single runs."""
    base = self.base

    def init(seed, hparams):
      start = build_gan.build_init(
        base.gan, base.config, base.shape, hparams, base.label_spec
      )
      return start(build_gan.init_key(seed))

    hparams = {n: np.asarray(v, np.float32) for n, v in self.hparams.items()}
    members = tracing.compile_for_one_call(ensemble.map_members(init))
    return members(self.seeds, hparams)

  def abstract_state(self) -> training.GANState:
    """Returns the shapes and types of the states, without computing them."""
    return ensemble.stacked_member_shapes(
      self.base.abstract_state(), len(self.members)
    )

  def program(self, backend: str = '') -> program_lib.TrainProgram:
    """Builds the program of many train steps of all members, and its feed.

    Args:
      backend: 'vmap' or 'map'; '' takes `config.ensemble.backend`.
    """
    experiment, config = self.base, self.config
    backend = backend or config.ensemble.backend
    step = nonfinite.freeze_nonfinite(
      build_gan.build_train_step(experiment.gan, config, None)
    )
    return program_lib.make_train_program(
      step,
      experiment.train,
      config,
      self.devices,
      many=lambda run: training.vectorize_members(run, backend),
      members=len(self.members),
    )


def _member_hparams(
  config: config_lib.Config, members: Sequence[sweep.SweepMember]
) -> dict[str, np.ndarray]:
  """Returns the values of state.hparams by member, `[M]` each."""
  points = [tuple(member.point.items()) for member in members]
  by_point = {
    point: build_hparams.build_hparams(member.config)
    for point, member in dict(zip(points, members)).items()
  }
  names = {frozenset(values) for values in by_point.values()}
  if len(names) > 1:
    apart = sorted(frozenset.union(*names) - frozenset.intersection(*names))
    where = config_lib.varied_by(config.ensemble)
    raise ValueError(
      f'{where}: {", ".join(apart)} would be in the program for some '
      'values and not for others (0 leaves the term out): all must be above 0; '
      'run the control without it by itself'
    )
  rows = [by_point[point] for point in points]
  return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _check_varied(config: config_lib.Config) -> None:
  """Refuses fields that are part of the program, not of `state.hparams`."""
  for axis in sweep.ensemble_axes(config):
    low, high = min(axis.values), max(axis.values)
    if low == high:
      continue
    for field in axis.fields:
      alone = dataclasses.replace(
        config.ensemble,
        seeds=1,
        points=(),
        sweep=f'{field}={low!r},{high!r}',
      )
      varied = dataclasses.replace(config, ensemble=alone)
      hparams = _member_hparams(config, sweep.expand_sweep(varied))
      if all(len(set(values)) == 1 for values in hparams.values()):
        raise ValueError(
          f'{config_lib.varied_by(config.ensemble)}: {field} is part of the '
          'program and the same for all members; what can vary lives in state.hparams: '
          f'{sorted(hparams)}'
        )


def _check_seeded(config: config_lib.Config, parts: own_parts.OwnParts) -> None:
  """Refuses several seeds of networks that all begin with one's parameters."""
  for name in ('generator', 'discriminator'):
    network = getattr(parts, name)
    if config.ensemble.seeds > 1 and network and not network.seeded:
      raise ValueError(
        f'{name}: a finished {parts.described[name]} carries its parameters, so '
        f'that the {config.ensemble.seeds} seeds would all begin with them; '
        'pass a function that makes it, lambda rngs: ... (NNX) or lambda key: '
        '... (Equinox)'
      )


def build_ensemble(config: Any, **parts: Any) -> EnsembleExperiment:
  """Builds an ensemble and checks all of it, before anything compiles.

  Args:
    config: a config.Config, or a mapping of its fields, `ensemble` among them.
    **parts: `generator`, `discriminator`, `loss`, `train` and `test` of
      experiment.build.

  Returns:
    The ensemble. It uses as many of the devices as divide the number of
    members.

  Raises:
    ValueError: as experiment.build; for a sweep of what cannot be swept, or
      data too large to live on the device.
  """
  return build_ensemble_from_parts(config, own_parts.make_own_parts(**parts))


def build_ensemble_from_parts(
  config: Any, parts: own_parts.OwnParts
) -> EnsembleExperiment:
  """Builds an ensemble, see `build_ensemble`.

  Args:
    config: a config.Config, or a mapping of its fields.
    parts: networks, loss and data in place of the config's.
  """
  config = parts.mark(config)
  if not isinstance(config, config_lib.Config):
    config = config_lib.resolve(config)
  sweep.check_size(config)
  _check_seeded(config, parts)
  devices = devices_lib.local_devices(config.num_devices)
  members = sweep.expand_sweep(config)
  _check_varied(config)
  # Devices share members, not batches: each member has one device.
  alone = dataclasses.replace(config, num_devices=1)
  base = experiment.build_from_parts(alone, parts)
  # The GAN is a member's: what is swept may be absent from the base, at 0.
  first = members[0].config
  base = dataclasses.replace(
    base,
    config=config,
    gan=build_gan.build_gan(
      first, base.shape, parts, base.gan.class_share, base.label_spec
    ),
    hparams=build_hparams.build_hparams(first),
  )
  if not program_lib.fits_on_device(base.train, config):
    raise ValueError(
      f'resident_mb={config.resident_mb}: the members of an ensemble draw '
      'their own batches from examples that live on the device, and these '
      f'are {program_lib.resident_nbytes(base.train, config) / 2**20:.1f} MB'
    )
  count = max(n for n in range(1, len(devices) + 1) if len(members) % n == 0)
  return EnsembleExperiment(
    base, members, _member_hparams(config, members), tuple(devices[:count])
  )
