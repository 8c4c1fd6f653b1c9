"""Every file in configs/: it builds, and two shrunken steps run."""

import importlib
import pathlib

import jax
import numpy as np
import pytest

from gan_jax import data, experiment, sampling
from gan_jax.data.arrays import ArraySource

CONFIGS = sorted(
  path.stem
  for path in (pathlib.Path(__file__).parent.parent / 'configs').glob('*.py')
  if path.stem != 'common'
)
ABSENT = ('tfds', 'folder', 'stacked_mnist')  # data that are not here


def get_config(name, variant=''):
  return importlib.import_module(f'configs.{name}').get_config(variant)


@pytest.mark.parametrize('name', CONFIGS)
def test_two_shrunken_steps(name, monkeypatch):
  config = get_config(name, 'test')
  options = config.data.to_dict()
  if options['name'] in ABSENT:
    channels = options.get('channels', 3)
    shape = (24, options['size'], options['size'], channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    fake = lambda split, **_: ArraySource(pixels, np.arange(24) % 10)
    source = data.SOURCES[options['name']]
    fake.__signature__ = __import__('inspect').signature(source)
    monkeypatch.setitem(data.SOURCES, options['name'], fake)
  built = experiment.build(config.to_dict())
  runner = built.parallelise()
  now, key = runner.put(built.init_state()), runner.put(built.key)
  with built.batches(put=runner.put_batch) as batches:
    for _ in range(2):
      now, metrics = runner.step(now, next(batches), key)
  assert int(now.step) == 2
  for name, value in jax.device_get(metrics).items():
    assert np.isfinite(value), name
  samples = sampling.make_draw(built.gan)(now.ema, 5)
  assert samples.shape == (5, *built.shape)


@pytest.mark.parametrize(
  ('name', 'variant'),
  [(name, '') for name in CONFIGS]
  + [(name, v) for name in ('ring', 'grid') for v in ('short', 'rpgan')]
  + [('stacked_mnist', 'rpgan')],
)
def test_the_config_itself_is_well_formed(name, variant):
  from gan_jax import assemble, settings

  config = get_config(name, variant)
  chosen = settings.parse(config.to_dict())
  data.source_options(chosen.data)
  shape = (2,)
  if chosen.data['name'] in ('digits', *ABSENT):
    channels = chosen.data.get('channels', 3)
    shape = (chosen.data['size'], chosen.data['size'], channels)
  assemble.build_gan(chosen, shape)


@pytest.mark.parametrize('name', CONFIGS)
def test_unknown_variant(name):
  with pytest.raises(ValueError, match="unknown variant 'tset'.*':test'"):
    get_config(name, 'tset')
