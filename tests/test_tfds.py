"""A tiny MNIST, prepared here without TensorFlow or network, and read."""

import gzip
import json
import shutil
import types

import numpy as np
import pytest

from gan_jax import data
from gan_jax.data import images, prepare

_REASON = 'pip install tensorflow-datasets importlib_resources array_record'
tfds = pytest.importorskip('tensorflow_datasets', reason=_REASON)
pytest.importorskip('array_record', reason=_REASON)
pytest.importorskip('importlib_resources', reason=_REASON)

SIZES = {'train': 40, 'test': 20}


def make_examples(split):
  """Noise whose first pixel is the example's number."""
  rng = np.random.default_rng(SIZES[split])
  x = rng.integers(0, 256, (SIZES[split], 28, 28, 1), np.uint8)
  x[:, 0, 0, 0] = np.arange(SIZES[split])
  return x, rng.integers(0, 10, SIZES[split], np.uint8)


def seed_downloads(data_dir):
  """Puts the four files of MNIST where TFDS keeps what it downloaded."""
  from tensorflow_datasets.core.download import resource

  folder = data_dir / 'downloads' / 'mnist'
  folder.mkdir(parents=True)
  for url, info in tfds.builder_cls('mnist').url_infos.items():
    x, label = make_examples('train' if 'train' in url else 'test')
    content = bytes(16) + x.tobytes()
    if 'labels' in url:
      content = bytes(8) + label.tobytes()
    path = folder / resource.get_dl_fname(url, info.checksum)
    path.write_bytes(gzip.compress(content))
    origin = {
      'urls': [url],
      'original_fname': info.filename,
      'url_info': info.asdict(),
    }
    path.with_name(path.name + '.INFO').write_text(json.dumps(origin))


@pytest.fixture(autouse=True)
def without_tensorflow(monkeypatch):
  monkeypatch.setattr(prepare, '_has_tensorflow', lambda: False)


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  from tensorflow_datasets.image_classification import mnist

  path = tmp_path_factory.mktemp('tfds')
  seed_downloads(path)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(prepare, '_has_tensorflow', lambda: False)
    patch.setattr(mnist, '_TRAIN_EXAMPLES', SIZES['train'])
    patch.setattr(mnist, '_TEST_EXAMPLES', SIZES['test'])
    prepare.main(['mnist', f'--data_dir={path}'])
  return path


def read(data_dir, split='train', **options):
  spec = {'name': 'tfds', 'dataset': 'mnist', 'data_dir': str(data_dir)}
  return data.make_source({'size': 28, 'channels': 1, **spec, **options}, split)


def edited_copy(data_dir, tmp_path, edit):
  """A copy of the dataset whose description went through `edit`."""
  shutil.copytree(data_dir / 'mnist', tmp_path / 'mnist')
  (path,) = tmp_path.rglob('dataset_info.json')
  info = json.loads(path.read_text())
  edit(info)
  path.write_text(json.dumps(info))
  return tmp_path


@pytest.mark.parametrize('split', SIZES)
def test_pixels_and_labels_are_those_of_the_files(data_dir, split):
  source = read(data_dir, split)
  x, label = make_examples(split)
  number = source.x[:, 0, 0, 0]
  assert sorted(number) == list(range(SIZES[split]))
  np.testing.assert_array_equal(source.x, x[number])
  np.testing.assert_array_equal(source.label, label[number])
  assert source.x.dtype == np.uint8 and source.label.dtype == np.int32


def test_resizes_and_adds_channels(data_dir):
  source = read(data_dir, size=16, channels=3)
  assert source.shape == (16, 16, 3) == source.x.shape[1:]
  native = read(data_dir)
  np.testing.assert_array_equal(
    source.x, images.crop_and_resize_arrays(native.x, 16, 3)
  )
  np.testing.assert_array_equal(source.label, native.label)


def test_streamed_equals_resident(data_dir):
  streamed = read(data_dir, memory_mb=0, size=32)
  resident = read(data_dir, size=32)
  assert not hasattr(streamed, 'x') and len(streamed) == len(resident) == 40
  assert streamed.shape == resident.shape
  indices = np.array([3, 39, 0, 3], np.int32)
  for key, value in resident[indices].items():
    np.testing.assert_array_equal(streamed[indices][key], value)
    assert streamed[indices][key].dtype == value.dtype


def test_splits_can_be_chosen(data_dir):
  splits = {'train_split': 'train[:75%]', 'test_split': 'train[75%:]'}
  train, test = (read(data_dir, split, **splits) for split in SIZES)
  assert (len(train), len(test)) == (30, 10)
  numbers = np.concatenate([train.x, test.x])[:, 0, 0, 0]
  assert sorted(numbers) == list(range(40))
  assert len(read(data_dir, train_split='train+test')) == 60


def test_last_tenth_is_held_out_where_there_is_no_test_split(
  data_dir, tmp_path
):
  def drop_test(info):
    info['splits'] = [s for s in info['splits'] if s['name'] == 'train']

  copy = edited_copy(data_dir, tmp_path, drop_test)
  train, test = (read(copy, split) for split in SIZES)
  assert (len(train), len(test)) == (36, 4)
  numbers = np.concatenate([train.x, test.x])[:, 0, 0, 0]
  assert sorted(numbers) == list(range(40))


@pytest.mark.parametrize('wrong', ['validation', 'train[:x]'])
def test_unknown_split_is_named_with_those_there_are(data_dir, wrong):
  with pytest.raises(ValueError) as caught:
    read(data_dir, train_split=wrong)
  assert repr(wrong) in str(caught.value)
  assert "['test', 'train']" in str(caught.value)


def test_not_prepared_names_the_command(tmp_path):
  command = f'python -m gan_jax.data.prepare mnist --data_dir={tmp_path}'
  with pytest.raises(FileNotFoundError) as caught:
    read(tmp_path)
  assert str(caught.value).endswith(command)


@pytest.mark.parametrize(
  ('dataset', 'message'),
  [
    ('mnistt', "unknown TFDS dataset 'mnistt'. Did you mean 'mnist' or"),
    ('mnist:9.9.9', 'only: 3.0.1'),
    ('', 'data.dataset is empty'),
  ],
)
def test_unknown_dataset_is_named(tmp_path, dataset, message):
  with pytest.raises(ValueError) as caught:
    read(tmp_path, dataset=dataset)
  assert message in str(caught.value)


def test_refuses_another_format_than_array_record(data_dir, tmp_path):
  rename = lambda info: info.update(fileFormat='tfrecord')
  copy = edited_copy(data_dir, tmp_path, rename)
  with pytest.raises(ValueError, match='as tfrecord; must be array_record'):
    read(copy)
  with pytest.raises(SystemExit, match='as tfrecord; must be array_record'):
    prepare.main(['mnist', f'--data_dir={copy}'])


def test_prepare_says_what_is_there_and_how_to_use_it(data_dir, capsys):
  prepare.main(['mnist', f'--data_dir={data_dir}'])
  out = capsys.readouterr().out
  assert 'mnist is already prepared in' in out
  assert '40 train, 20 test' in out
  part = types.SimpleNamespace(part=dict)
  spec = eval(out.partition('config.data = ')[2], {'common': part})
  assert data.make_source(spec).shape == (32, 32, 1)


def test_prepare_leaves_tfds_as_it_was(data_dir):
  from tensorflow_datasets.core.features import image_feature
  from tensorflow_datasets.image_classification import mnist

  encode = image_feature._ImageEncoder._encode_image
  assert encode is not prepare._encode_image
  assert not isinstance(mnist.tf, types.SimpleNamespace)


def test_failed_download_is_one_line_with_its_cause(tmp_path, monkeypatch):
  import requests

  def get(session, url, **unused):
    raise requests.ConnectionError(f'no way\nto {url}')

  monkeypatch.setattr(requests.Session, 'get', get)
  with pytest.raises(SystemExit) as caught:
    prepare.main(['kmnist', f'--data_dir={tmp_path}'])
  message = caught.value.code
  assert '\n' not in message
  assert "'kmnist' failed: ConnectionError: no way to http://codh" in message
  with pytest.raises(FileNotFoundError):
    read(tmp_path, dataset='kmnist')


@pytest.mark.parametrize(
  ('dataset', 'message'),
  [
    ('mnistt', "Did you mean 'mnist'"),
    ('celeb_a', "'celeb_a' needs TensorFlow, this once: pip install"),
    ('imdb_reviews', 'no image feature'),
  ],
)
def test_prepare_refuses_in_one_line(tmp_path, dataset, message):
  with pytest.raises(SystemExit) as caught:
    prepare.main([dataset, f'--data_dir={tmp_path}'])
  assert message in caught.value.code and '\n' not in caught.value.code


def test_prepare_asks_for_tensorflow_where_tfds_has_changed(
  tmp_path, monkeypatch
):
  monkeypatch.delattr('tensorflow_datasets.core.download.extractor.tf')
  with pytest.raises(SystemExit, match='pip install tensorflow-cpu'):
    prepare.main(['mnist', f'--data_dir={tmp_path}'])
