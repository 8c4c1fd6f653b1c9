"""Mirror images: all of them once an epoch, the same however a run is split."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import config as config_lib
from gan_jax import data, experiment
from gan_jax.data import flips
from gan_jax.training import fused

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (10, 4, 4, 1), np.uint8)
LABELS = np.arange(10) % 3


def test_each_image_and_its_mirror_image_once():
  source = flips.FlippedSource(data.as_source({'x': IMAGES, 'label': LABELS}))
  assert len(source) == 20 and source.shape == (4, 4, 1)
  batch = source[np.array([3, 13, 0, 19])]
  mirrored = IMAGES[:, :, ::-1]
  expected = [IMAGES[3], mirrored[3], IMAGES[0], mirrored[9]]
  np.testing.assert_array_equal(batch['x'], expected)
  np.testing.assert_array_equal(batch['label'], LABELS[[3, 3, 0, 9]])


@pytest.mark.parametrize(
  'given, message',
  [
    (
      RNG.normal(size=(20, 2)),
      r'data\.flip=True: .* shape \(2,\); only images',
    ),
    (RNG.normal(size=(20, 64, 1)), r'shape \(64, 1\); only images'),
    ({'x': IMAGES, 'label': IMAGES[..., 0]}, r'labels .* uint8 .* \(4, 4\)'),
    ({'x': IMAGES, 'label': RNG.normal(size=10)}, r'labels .* float32'),
  ],
  ids=['points', 'sound', 'pictures', 'numbers'],
)
def test_what_has_no_mirror_image_is_refused(given, message):
  with pytest.raises(ValueError, match=message):
    flips.FlippedSource(data.as_source(given))


def build(train=IMAGES, **changes):
  config = {
    'batch_size': 4,
    'num_devices': 1,
    'latent_dim': 3,
    'data': {'flip': True},
    'generator': {'name': 'mlp', 'mlp': {'features': (4,)}},
    'discriminator': {'name': 'mlp', 'mlp': {'features': (4,)}},
  }
  return experiment.build({**config, **changes}, train=train)


def test_a_run_refuses_before_it_compiles():
  with pytest.raises(ValueError, match='only images'):
    build(RNG.normal(size=(20, 2)))


def test_own_data_keep_the_option():
  for given in (
    {'data': {'flip': True}},
    config_lib.resolve({'data': {'flip': True}}),
  ):
    config = config_lib.resolve(config_lib.with_own_parts(given, {'train': 0}))
    assert (config.data.name, config.data.flip) == ('own', True)


def test_batches_do_not_depend_on_where_the_data_live_or_a_run_begins():
  built = build()
  with built.batches() as batches:
    host = [batches.host_batch(t)['x'] for t in range(10)]
  with built.batches(start=7) as batches:
    np.testing.assert_array_equal(next(batches)['x'], host[7])
  # Two epochs of 20: each image and mirror image twice.
  whole = np.concatenate(host).reshape(-1, 4, 4, 1)
  both = np.concatenate([IMAGES, IMAGES[:, :, ::-1]])
  count = lambda x: np.unique(x.reshape(-1, 16), axis=0, return_counts=True)
  np.testing.assert_array_equal(count(whole)[0], count(both)[0])
  assert set(count(whole)[1]) == {2}
  # On the device, gathered by the program.
  with built.program().feed(0) as feed:
    examples, _ = feed.take(0, 1, lambda: None)
  gather = fused.gather_batch(20, 4)
  batch_at = gather(examples, jnp.int32(0), jnp.uint32(0), 10)
  for step in (0, 7, 9):
    batch = batch_at(jnp.int32(step), jnp.int32(0))
    np.testing.assert_array_equal(batch['x'], host[step])
  # Streamed in chunks.
  streamed = build(resident_mb=0, steps_per_call=3)
  with streamed.program().feed(0) as feed:
    chunk, _ = feed.take(0, 3, lambda: None)
  chunk = np.reshape(chunk['x'], (3, *host[0].shape))
  np.testing.assert_array_equal(chunk, np.stack(host[:3]))


def test_the_bytes_on_the_device_are_those_of_both():
  from gan_jax.experiment import program

  built = build()
  assert program.resident_nbytes(built.train, built.config) == 2 * 160
  assert len(built.train) == 10  # scores compare with the images as they are
