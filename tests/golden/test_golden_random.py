"""Exact: which keys each purpose draws from, and which examples are read."""

import jax
import numpy as np
import pytest

from tests.helpers import api

STEPS = 2
SOURCES = {
  'gaussian': {'data.size': 50},
  'ring': {'data.size': 50},
  'grid': {'data.size': 50},
  'digits': {},
  'digits small in colour': {'data.size': 8, 'data.channels': 3},
  'folder': {'data.size': 16, 'data.channels': 3},
  'stacked_mnist': {'data.size': 8, 'data.stacks': 60},
}


def test_keys_of_two_steps(golden):
  """Words of keys are exact; draws are of the rounding of a logarithm."""
  words, draws = {}, {}
  for step, rows in enumerate(api.keys_of_steps(STEPS)):
    for purpose, x in rows.items():
      into = draws if np.issubdtype(x.dtype, np.floating) else words
      # The first and the last example tell how the others are made.
      ends = x if x.ndim == 1 else x[[0, -1]]
      into[f'step {step}, {purpose}'] = ends.tolist()
  golden('keys').exact('keys', words)
  golden('keys').numbers('draws', draws)


def test_base_keys(golden):
  found = {
    f'seed {seed}, {n} rollbacks': api.first_key(seed, n)
    for seed in (0, 1, 12345)
    for n in (0, 1, 2)
  }
  golden('keys').exact('base', found)


def test_batch_indices(golden):
  found = {}
  for size, batch, d_steps, seed in [(50, 8, 1, 0), (20, 8, 2, 3)]:
    host, device = api.batch_indices(size, batch, d_steps, STEPS, seed)
    np.testing.assert_array_equal(host, device)
    found[f'{size} by {batch}, d_steps {d_steps}, seed {seed}'] = host.tolist()
  golden('keys').exact('batches', found)


def save_pictures(directory):
  image = pytest.importorskip('PIL.Image')
  rng = np.random.default_rng(0)
  for i in range(16):
    path = directory / f'class{i % 2}' / f'{i:02}.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 256, (20 + i, 24, 3), np.uint8)
    image.fromarray(pixels).save(path)


@pytest.mark.parametrize('name', SOURCES)
@pytest.mark.parametrize('split', ['train', 'test'])
def test_first_batch(golden, name, split, tmp_path, monkeypatch):
  api.fake_downloads(monkeypatch)
  options = {'data.name': name.split()[0], **SOURCES[name]}
  if name == 'folder':
    save_pictures(tmp_path)
    options |= {'data.path': str(tmp_path), 'data.test_fraction': 0.5}
  found = api.first_batch(api.open_source(options, split))
  golden('data').exact(f'{name}, {split}', found, moves=True)


def test_first_batch_of_arrays(golden):
  x = np.arange(60, dtype=np.float32).reshape(20, 3)
  source = api.array_source(x, np.arange(20) % 7)
  golden('data').exact('arrays', api.first_batch(source, seed=5))


def test_no_record_is_left_over(golden):
  assert jax.config.jax_default_prng_impl == 'threefry2x32'
  golden('keys').names(['keys', 'draws', 'base', 'batches'])
  every = [f'{n}, {s}' for n in SOURCES for s in ('train', 'test')]
  golden('data').names(['arrays', *every])
