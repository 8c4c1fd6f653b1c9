"""Every file in configs/ builds, trains two tiny steps, and resumes."""

import importlib
import inspect
import itertools
import pathlib

import chex
import jax
import numpy as np
import pytest

from gan_jax import config as config_lib
from gan_jax import data, experiment, sampling
from gan_jax.data import ArraySource
from gan_jax.distributed import devices as devices_lib
from gan_jax.experiment import build_gan, build_hparams, resume, run_dir
from gan_jax.experiment import experiment as experiment_lib

CONFIGS = sorted(
  path.stem
  for path in (pathlib.Path(__file__).parents[2] / 'configs').glob('*.py')
  if path.stem != 'common'
)
# Residual networks compile for long: those of the digits stand for these.
LARGE = ('sngan_cifar10', 'biggan_cifar10', 'r3gan_cifar10')
LIKE_OTHERS = (
  *(*LARGE, 'sngan_digits', 'acgan_mnist', 'reacgan_mnist'),
  *('d2l_dcgan', 'cifar10', 'folder', 'fastgan_folder'),
  *('stylegan2_folder', 'wavegan_digits'),
)
# Larger pictures have more stages of the same layers, which compile for longer.
# tests/golden trains on pictures of the config's size; of the configs without a
# record the step is traced on them here.
SIZE = 16
UNRECORDED = ('acgan_mnist', 'reacgan_mnist', 'd2l_dcgan')
ABSENT = ('tfds', 'folder', 'stacked_mnist', 'audio')  # are not here


def get_config(name, variant=''):
  return importlib.import_module(f'configs.{name}').get_config(variant)


def noise(options, size):
  """Makes 24 examples for the options of a source: images or sound."""
  random = np.random.default_rng(0)
  if 'length' in options:
    x = random.uniform(-1, 1, (24, options.length, 1))
    return x.astype(np.float32)
  if size:
    options.size = min(size, options.size)
  shape = (24, options.size, options.size, options.get('channels', 3))
  return random.integers(0, 256, shape, np.uint8)


def build(name, monkeypatch, size=SIZE, **changes):
  """Builds a tiny config, on noise if its data are not on this machine.

  Args:
    name: the config.
    monkeypatch: pytest's.
    size: largest height and width of the noise; 0 for those of the config.
    **changes: fields to change.
  """
  config = get_config(name, 'test')
  # All of ADA, which is trained with in tests/golden, compiles for seconds.
  config.augment.ada.policy = ('flip', 'scale', 'hue')
  source = config.data.name
  if source in ABSENT:
    examples = noise(config.data[source], size)
    fake = lambda split, **_: ArraySource(examples, np.arange(24) % 10)
    fake.__signature__ = inspect.signature(data.SOURCES[source])
    monkeypatch.setitem(data.SOURCES, source, fake)
  return experiment.build(config.to_dict() | changes)


class Loop:
  """Trains with one train step per call and batches from the host."""

  def __init__(self, built):
    self._built, self._placed = built, built.parallel_train_step()
    self._key = self._placed.put(built.key)

  def __call__(self, start, count):
    """Trains some steps from a state on the host; returns the last state."""
    now, put = self._placed.put(start), self._placed.put_batch
    with self._built.batches(int(start.step), put) as batches:
      for _ in range(count):
        now, self.metrics = self._placed.step(now, next(batches), self._key)
    return now


class Fused:
  """Trains as Loop does, by the program of many steps."""

  def __init__(self, built):
    self._program = built.program()
    self._streams = self._program.put(built.streams)

  def __call__(self, start, count):
    now, step = self._program.put(start), int(start.step)
    end = step + count
    with self._program.feed(step) as feed:
      while step < end:
        most = min(end - step, self._program.max_steps)
        examples, n = feed.take(step, most, lambda: None)
        now, self.metrics = self._program.run(
          now, examples, self._streams, np.int32(n)
        )
        step += n
    return now


def saved_and_restored(built, state, directory):
  with run_dir.open_checkpoints(built, directory) as saved:
    saved.save(int(state.step), state)
  return resume.restore_or_initialize(built, directory).state


def check_resumes(built, way, directory):
  """Checks that 2 + 2 steps with a checkpoint between equal 4, bit for bit."""
  train, fresh = way(built), jax.device_get(built.init_state())
  whole = jax.device_get(train(fresh, 4))
  half = train(fresh, 2)
  again = train(saved_and_restored(built, half, directory), 2)
  assert int(again.step) == 4
  chex.assert_trees_all_equal(jax.device_get(again), whole)
  for name, value in jax.device_get(train.metrics).items():
    assert np.isfinite(value).all(), name


PLACES = set(itertools.product((Loop, Fused), (1, 4), devices_lib.BACKENDS))
USUAL = (Fused, 4, 'pmap')


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(c, marks=[pytest.mark.slow] if c in LIKE_OTHERS else [])
    for c in CONFIGS
    if c not in LARGE
  ],
)
def test_shrunken_steps_and_more_after_a_checkpoint(
  name, tmp_path, monkeypatch
):
  way, devices, backend = USUAL
  places = {'num_devices': devices, 'parallel': backend}
  built = build(name, monkeypatch, steps_per_call=4, **places)
  check_resumes(built, way, tmp_path)
  sampler = sampling.make_sampler(built.gan, labels=built.labels)
  samples = sampler(built.init_state().ema, 5)
  assert samples.shape == (5, *built.shape)


@pytest.mark.parametrize('name', UNRECORDED)
def test_the_step_is_traced_on_pictures_of_their_own_size(name, monkeypatch):
  built = build(name, monkeypatch, size=0)
  assert min(built.shape[:2]) > SIZE


OTHERS = sorted(PLACES - {USUAL}, key=str)
# One other place of each config; every place has one or more configs.
PAIRS = list(
  zip(
    [c for c in CONFIGS if c not in LIKE_OTHERS],
    itertools.cycle(OTHERS),
  )
)


@pytest.mark.slow
@pytest.mark.parametrize('name', LARGE)
def test_a_step_of_large_networks(name, monkeypatch):
  built = build(name, monkeypatch, size=8, num_devices=1, d_steps=1)
  train = Loop(built)
  train(built.init_state(), 1)
  for metric, value in jax.device_get(train.metrics).items():
    assert np.isfinite(value).all(), metric


def test_every_place_is_tried():
  assert {place for _, place in PAIRS} == set(OTHERS)


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'place'), PAIRS)
def test_resumed_in_another_way(name, place, tmp_path, monkeypatch):
  way, devices, backend = place
  built = build(name, monkeypatch, num_devices=devices, parallel=backend)
  check_resumes(built, way, tmp_path)


@pytest.mark.parametrize(
  ('name', 'variant'),
  [(name, '') for name in CONFIGS]
  + [(name, v) for name in ('ring', 'grid') for v in ('pacgan', 'pacgan_short')]
  + [('stacked_mnist', 'rpgan'), ('sngan_cifar10', 'conditional')]
  + [('d2l_gaussian', 'stable'), ('d2l_dcgan', 'balanced')]
  + [('r3gan_cifar10', 'small')]
  + [('stylegan2_cifar10', 'ada'), ('stylegan2_folder', '128')],
)
def test_the_config_itself_is_well_formed(name, variant):
  config = config_lib.resolve(get_config(name, variant))
  spec = data.source_options(experiment_lib.data_spec(config))
  shape = (2,)
  if 'length' in spec:
    shape = (spec['length'], 1)
  elif spec['name'] in ('digits', *ABSENT):
    shape = (spec['size'], spec['size'], spec.get('channels', 3))
  share = (0.1,) * 10 if config.conditional else ()
  gan = build_gan.build_gan(config, shape, class_share=share)
  hparams = build_hparams.build_hparams(config)
  init = build_gan.build_init(gan, config, shape, hparams)
  state = build_gan.abstract_state(init)
  assert jax.tree.leaves(state.generator.params)


@pytest.mark.parametrize('name', CONFIGS)
def test_unknown_variant(name):
  with pytest.raises(ValueError, match="'tset'.*':test'"):
    get_config(name, 'tset')
