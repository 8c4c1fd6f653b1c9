"""Metrics on disk and in TensorBoard, pictures, and means over a window."""

import json
import os
import struct

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto import event_pb2

from gan_jax.io import metric_writer
from gan_jax.runner import meters


def test_pictures_are_in_tensorboard(tmp_path):
  Image.new('RGB', (7, 5)).save(tmp_path / 'x.png')
  with metric_writer.MetricWriter(tmp_path) as writer:
    writer.write_picture(3, 'samples', tmp_path / 'x.png')
  (value,) = [
    value for event in raw_events(tmp_path) for value in event.summary.value
  ]
  assert (value.tag, value.image.width, value.image.height) == ('samples', 7, 5)
  assert value.image.encoded_image_string == (tmp_path / 'x.png').read_bytes()


def test_scalars_and_what_a_killed_run_left(tmp_path):
  with metric_writer.MetricWriter(tmp_path) as scalars:
    scalars.write(1, {'loss': 0.5})
    scalars.write(2, {'loss': float('nan')})
    scalars.write(3, {'loss': 0.25})
  path = tmp_path / 'metrics.jsonl'
  with path.open('a') as file:
    file.write('{"step": 4, "lo')
  with metric_writer.MetricWriter(tmp_path, start=2) as scalars:
    scalars.write(3, {'loss': 0.125})
  lines = [json.loads(line) for line in path.read_text().splitlines()]
  assert lines == [
    {'step': 1, 'loss': 0.5},
    {'step': 2, 'loss': None},
    {'step': 3, 'loss': 0.125},
  ]


def raw_events(workdir):
  for path in sorted((workdir / 'tensorboard').iterdir()):
    data = path.read_bytes()
    while data:
      (size,) = struct.unpack('Q', data[:8])
      yield event_pb2.Event.FromString(data[12 : 12 + size])
      data = data[16 + size :]


def events(workdir):
  """(step, name, value) of what TensorBoard would read, and where it purges."""
  shown, purged = [], []
  for event in raw_events(workdir):
    if event.HasField('session_log'):
      purged.append(event.step)
    shown += [(event.step, v.tag, v.simple_value) for v in event.summary.value]
  return shown, purged


def test_scalars_for_tensorboard(tmp_path):
  with metric_writer.MetricWriter(tmp_path, start=4) as scalars:
    scalars.write(5, {'loss': 0.5, 'd_loss': float('inf')})
    scalars.write_events(6, {'fid': 2.0})
    scalars.flush()
    there = events(tmp_path)
    scalars.write_events(7, {'fid': 2.0})
  assert there[0][-1] == (6, 'fid', 2.0)
  shown, purged = events(tmp_path)
  assert shown[:2] == [(5, 'loss', 0.5), (5, 'd_loss', np.inf)]
  assert shown[2:] == [(6, 'fid', 2.0), (7, 'fid', 2.0)]
  assert purged == [5]


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs /dev/full')
def test_a_full_disk_ends_a_run_and_does_not_hang_it(tmp_path):
  def full():
    scalars = metric_writer.MetricWriter(tmp_path)
    scalars._events._file._writer.close()
    scalars._events._file._writer = open('/dev/full', 'wb')
    return scalars

  scalars = full()
  with pytest.raises(OSError, match='No space left.*tensorboard/events'):
    for step in range(1000):
      scalars.write(step, {f'loss_{i}': 0.5 for i in range(10)})
  with pytest.raises(OSError, match='No space left.*tensorboard/events'):
    scalars.close()
  with pytest.raises(ValueError, match='the first'), full() as scalars:
    scalars.write(1, {'loss': 0.5})
    raise ValueError('the first')


def test_window_means_and_rate():
  log = meters.MetricMeter(examples_per_step=8)
  for step in (1, 2):
    log.add(step, {'loss': jnp.float32(step)})
  means = log.compute_and_reset()
  assert means['loss'] == 1.5
  assert means['examples_per_second'] == 8 * means['steps_per_second'] > 0
  log.add(3, {'loss': jnp.float32(5)})
  assert log.compute_and_reset()['loss'] == 5


def test_window_names_the_step_and_the_metric():
  log = meters.MetricMeter(1)
  log.add(6, {'d_loss': jnp.float32(1), 'g_loss': jnp.float32(1)})
  log.add(7, {'d_loss': jnp.float32(1), 'g_loss': jnp.float32(np.inf)})
  with pytest.raises(meters.NonFiniteError, match='step 7: g_loss = inf'):
    log.compute_and_reset()
