"""Tiny datasets, prepared here without TensorFlow or network, and read."""

import gzip
import io
import json
import shutil
import tarfile

import ml_collections
import numpy as np
import pytest

from gan_jax import config as config_lib
from gan_jax import data
from gan_jax.data import images, prepare
from gan_jax.experiment import experiment

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


def idx(x):
  """An IDX file of bytes."""
  return (
    bytes([0, 0, 8, x.ndim]) + np.array(x.shape, '>u4').tobytes() + bytes(x)
  )


def archive(files):
  """A .tar.gz of name -> content."""
  file = io.BytesIO()
  with tarfile.open(fileobj=file, mode='w:gz') as tar:
    for name, content in files.items():
      info = tarfile.TarInfo(name)
      info.size = len(content)
      tar.addfile(info, io.BytesIO(content))
  return file.getvalue()


def seed_downloads(data_dir, dataset, content):
  """Puts a dataset's files where TFDS keeps what it downloaded.

  Args:
    data_dir: of TFDS.
    dataset: name in TFDS.
    content: URL -> bytes of the file.
  """
  from tensorflow_datasets.core.download import resource

  folder = data_dir / 'downloads' / dataset
  folder.mkdir(parents=True)
  for url, info in tfds.builder_cls(dataset).url_infos.items():
    path = folder / resource.get_dl_fname(url, info.checksum)
    path.write_bytes(content(url))
    origin = {
      'urls': [url],
      'original_fname': info.filename,
      'url_info': info.asdict(),
    }
    path.with_name(path.name + '.INFO').write_text(json.dumps(origin))


def mnist_file(url):
  x, label = make_examples('train' if 'train' in url else 'test')
  return gzip.compress(idx(label) if 'labels' in url else idx(x[..., 0]))


@pytest.fixture(scope='module', autouse=True)
def without_tensorflow_or_network():
  import requests

  def request(*unused, **more):
    raise requests.ConnectionError('no network in tests')

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(prepare, '_has_tensorflow', lambda: False)
    patch.setattr(requests.Session, 'request', request)
    yield


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  path = tmp_path_factory.mktemp('tfds')
  seed_downloads(path, 'mnist', mnist_file)
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


def test_the_order_is_that_of_tfds(data_dir):
  """The numbers were read from what TFDS's own code made of these files."""
  first = [read(data_dir, split).x[:6, 0, 0, 0].tolist() for split in SIZES]
  assert first == [[39, 28, 6, 33, 16, 19], [16, 13, 19, 15, 6, 1]]


CIFAR = {
  'cifar10': (
    'cifar-10-batches-bin',
    [[f'data_batch_{i}.bin' for i in range(1, 6)], ['test_batch.bin']],
    {'label': ('batches.meta.txt', 10)},
  ),
  'cifar100': (
    'cifar-100-binary',
    [['train.bin'], ['test.bin']],
    {
      'coarse_label': ('coarse_label_names.txt', 20),
      'label': ('fine_label_names.txt', 100),
    },
  ),
}


@pytest.mark.parametrize('dataset', CIFAR)
def test_cifar_is_that_of_its_files(tmp_path, dataset):
  folder, files, labels = CIFAR[dataset]
  rng = np.random.default_rng(0)
  contents, records = {}, {}
  for split, names in zip(SIZES, files):
    parts = []
    for name in names:
      given = [rng.integers(0, n, (7, 1)) for _, n in labels.values()]
      pixels = rng.integers(0, 256, (7, 3072))
      parts.append(np.concatenate([*given, pixels], axis=1).astype(np.uint8))
      contents[f'{folder}/{name}'] = bytes(parts[-1])
    records[split] = np.concatenate(parts)
  for name, (file, count) in labels.items():
    lines = ''.join(f'{name} {i}\n' for i in range(count)) + '\n'
    contents[f'{folder}/{file}'] = lines.encode()
  seed_downloads(tmp_path, dataset, lambda url: archive(contents))
  prepare.main([dataset, f'--data_dir={tmp_path}'])

  count = len(labels)
  for split, expected in records.items():
    read_back = tfds.data_source(dataset, split=split, data_dir=tmp_path)
    numbers = [
      int(r['id'].decode().removeprefix(f'{split}_')) for r in read_back
    ]
    assert sorted(numbers) == list(range(len(expected)))
    for number, row in zip(numbers, read_back):
      assert [row[name] for name in labels] == list(expected[number, :count])
      pixels = row['image'].transpose(2, 0, 1).ravel()
      np.testing.assert_array_equal(pixels, expected[number, count:])
  features = tfds.builder(dataset, data_dir=tmp_path).info.features
  for name, (_, size) in labels.items():
    assert features[name].names == [f'{name} {i}' for i in range(size)]


def test_a_file_of_another_format_is_named(tmp_path):
  seed_downloads(tmp_path, 'mnist', lambda url: gzip.compress(b'<html>'))
  with pytest.raises(SystemExit, match='3c6874.* 000008'):
    prepare.main(['mnist', f'--data_dir={tmp_path}'])


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
  assert streamed.classes == resident.classes > 1
  assert streamed.class_share == resident.class_share
  assert sum(streamed.class_share) == pytest.approx(1)
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
    ('mnistt', "dataset 'mnistt'. Did you mean 'mnist'"),
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
  with pytest.raises(ValueError, match='tfrecord.*array_record'):
    read(copy)
  with pytest.raises(SystemExit, match='tfrecord.*array_record'):
    prepare.main(['mnist', f'--data_dir={copy}'])


def test_prepare_says_what_is_there_and_how_to_use_it(data_dir, capsys):
  prepare.main(['mnist', f'--data_dir={data_dir}'])
  out = capsys.readouterr().out
  assert 'mnist is already prepared in' in out
  assert '40 train, 20 test' in out
  config = ml_collections.ConfigDict(config_lib.defaults())
  exec(out[out.index('config.data.name') :], {'config': config})
  spec = experiment.data_spec(config_lib.resolve(config))
  assert data.make_source(spec).shape == (32, 32, 1)


def test_prepare_leaves_tfds_as_it_was(data_dir):
  from tensorflow_datasets.image_classification import mnist

  assert tfds.builder_cls('mnist') is mnist.MNIST
  (path,) = data_dir.rglob('dataset_info.json')
  assert json.loads(path.read_text())['moduleName'] == mnist.__name__


def test_failed_download_is_one_line_with_its_cause(tmp_path, monkeypatch):
  import requests

  asked = []

  def request(session, method, url, **unused):
    asked.append(url)
    raise requests.ConnectionError(f'no way\nto {url}')

  monkeypatch.setattr(requests.Session, 'request', request)
  with pytest.raises(SystemExit) as caught:
    prepare.main(['kmnist', f'--data_dir={tmp_path}'])
  message = caught.value.code
  assert '\n' not in message
  assert "'kmnist' failed: no way to http://codh" in message
  assert len(asked) == 1  # TFDS would ask for minutes
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
