"""Parquet files by pyarrow, and Hugging Face datasets by their package."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from gan_jax import data
from gan_jax.data import check, hf
from gan_jax.data.array_source import split_indices

pyarrow = pytest.importorskip('pyarrow', reason='pip install pyarrow')
parquet = pytest.importorskip('pyarrow.parquet', reason='pip install pyarrow')

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
LABELS = (np.arange(20) % 2).tolist()


def png(x):
  stream = io.BytesIO()
  Image.fromarray(x).save(stream, 'PNG')
  return stream.getvalue()


def cells():
  return [{'bytes': png(x), 'path': f'{i}.png'} for i, x in enumerate(PIXELS)]


def write(path, images=None, names=('cat', 'dog'), **columns):
  """A parquet file as the package `datasets` writes it."""
  images = cells() if images is None else images
  path.parent.mkdir(exist_ok=True)
  features = {'label': {'names': list(names), '_type': 'ClassLabel'}}
  noted = {'info': {'features': features if names else {}}}
  table = pyarrow.table({'image': images, **columns})
  metadata = {'huggingface': json.dumps(noted)}
  parquet.write_table(table.replace_schema_metadata(metadata), path)
  return path


def read(path, split='train', **options):
  spec = {'name': 'hf', 'dataset': str(path), 'size': 8, **options}
  return data.make_source(spec, split)


@pytest.fixture(params=['pyarrow', 'datasets'])
def package(request, monkeypatch, tmp_path):
  """Reads by pyarrow alone, and by datasets where it is installed."""
  if request.param == 'pyarrow':
    is_installed = hf.is_installed
    alone = lambda name: name != 'datasets' and is_installed(name)
    monkeypatch.setattr(hf, 'is_installed', alone)
    return
  datasets = pytest.importorskip('datasets', reason='pip install datasets')
  monkeypatch.setattr(datasets.config, 'HF_DATASETS_CACHE', tmp_path / 'cache')
  datasets.disable_progress_bars()


@pytest.mark.parametrize('memory_mb', [1, 0])
@pytest.mark.usefixtures('package')
def test_images_and_classes(tmp_path, memory_mb, request):
  if memory_mb == 0 and 'pyarrow' in request.node.name:
    pytest.skip('the file must fit in memory without datasets')
  path = write(tmp_path / 'a.parquet', label=LABELS)
  for split in ('train', 'test'):
    source = read(path, split, test_fraction=0.3, memory_mb=memory_mb)
    chosen = split_indices(20, split, 0.3)
    batch = source[np.arange(len(source))]
    np.testing.assert_array_equal(batch['x'], PIXELS[chosen])
    np.testing.assert_array_equal(batch['label'], np.array(LABELS)[chosen])
    assert source.class_names == ('cat', 'dog')


@pytest.mark.usefixtures('package')
def test_splits_by_the_names_of_files(tmp_path):
  made = cells()
  for name, part in (('train', slice(0, 15)), ('test', slice(15, 20))):
    path = tmp_path / 'data' / f'{name}-00000-of-00001.parquet'
    write(path, made[part], label=LABELS[part])
  np.testing.assert_array_equal(read(tmp_path / 'data').x, PIXELS[:15])
  np.testing.assert_array_equal(read(tmp_path / 'data', 'test').x, PIXELS[15:])
  with pytest.raises(ValueError, match=r"no split 'other'; .*'test', 'train'"):
    read(tmp_path / 'data', train_split='other')


@pytest.mark.usefixtures('package')
def test_columns_by_name(tmp_path):
  zeros = [0] * 20
  path = write(tmp_path / 'a.parquet', label=LABELS, kind=zeros, names=())
  assert read(path, label='kind').label.tolist() == [0] * 18
  assert read(path, label='none').label is None
  assert read(path).class_names == ()
  for options, message in (
    ({'label': 'wrong'}, r"data\.hf\.label='wrong': .* \['image', 'label', 'k"),
    ({'image': 'kind'}, r"data\.hf\.image='kind': a column of type int64"),
    ({'label': 'image'}, r"data\.hf\.label='image': .* must be integers"),
  ):
    with pytest.raises(ValueError, match=message):
      read(path, **options)


@pytest.mark.usefixtures('package')
def test_broken_images_are_named_by_their_index(tmp_path):
  images = cells()
  images[3] = {'bytes': images[3]['bytes'][:-30], 'path': '3.png'}
  images[7] = {'bytes': b'no image', 'path': '7.png'}
  images[9] = {'bytes': None, 'path': '/etc/hostname'}
  path = write(tmp_path / 'a.parquet', images, label=LABELS)
  with pytest.raises(ValueError, match=r'broken image .*a\.parquet train\['):
    for split in ('train', 'test'):
      read(path, split)
  done = []
  track = lambda description, total: done.append
  spec = {'name': 'hf', 'dataset': str(path), 'size': 8}
  problems = sorted(check.find_problems(spec, track))
  assert sum(done) == 20
  assert [p.split(': ')[0].split('train')[1] for p in problems] == [
    '[3]',
    '[7]',
    '[9]',
  ]
  assert 'no pixels but the path /etc/hostname' in problems[2]
  assert 'embed_table_storage' in problems[2]


@pytest.mark.usefixtures('package')
@pytest.mark.parametrize(
  'label, message',
  [
    ([-1] * 20, r'label\[0\] is -1; classes must be'),
    ([0] * 7 + [None] + [1] * 12, r'label\[7\] is null'),
  ],
)
def test_labels_that_are_no_classes(tmp_path, label, message):
  with pytest.raises(ValueError, match=message):
    read(write(tmp_path / 'a.parquet', label=label))


@pytest.mark.usefixtures('package')
def test_files_that_cannot_be_read(tmp_path):
  with pytest.raises(FileNotFoundError, match=r'data\.hf\.dataset is empty'):
    read('')
  path = tmp_path / 'a.parquet'
  table = pyarrow.table({'text': ['a']})
  parquet.write_table(table, path)
  with pytest.raises(ValueError, match=r"no column of images; .*\['text'\]"):
    read(path)
  path.write_bytes(path.read_bytes()[:-9])
  with pytest.raises(ValueError, match=r'a\.parquet'):
    read(path)


def test_what_does_not_fit_in_memory_says_so(tmp_path, monkeypatch):
  monkeypatch.setattr(hf, 'is_installed', lambda name: name == 'pyarrow')
  path = write(tmp_path / 'a.parquet', label=LABELS)
  with pytest.raises(ValueError, match='memory_mb=0: .* pip install datasets'):
    read(path, memory_mb=0)


def test_packages_that_are_missing_are_named(tmp_path, monkeypatch):
  monkeypatch.setattr(hf, 'is_installed', lambda name: name == 'pyarrow')
  with pytest.raises(ModuleNotFoundError, match='pip install datasets'):
    read('someone/photos')
  monkeypatch.setattr(hf, 'is_installed', lambda name: False)
  with pytest.raises(ModuleNotFoundError, match='pip install pyarrow'):
    read(tmp_path / 'a.parquet')


@pytest.mark.parametrize('saved', [False, True])
def test_a_directory_of_images(tmp_path, monkeypatch, saved):
  datasets = pytest.importorskip('datasets', reason='pip install datasets')
  monkeypatch.setattr(datasets.config, 'HF_DATASETS_CACHE', tmp_path / 'cache')
  datasets.disable_progress_bars()
  for i, x in enumerate(PIXELS):
    path = tmp_path / 'photos' / ('cat', 'dog')[i % 2] / f'{i:02}.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(x))
  where = tmp_path / 'photos'
  if saved:
    loaded = datasets.load_dataset(str(where))
    loaded.save_to_disk(str(tmp_path / 'saved'))
    where = tmp_path / 'saved'
  source = read(where)
  assert source.class_names == ('cat', 'dog')
  order = [*range(0, 20, 2), *range(1, 20, 2)]
  chosen = split_indices(20, 'train', 0.1)
  np.testing.assert_array_equal(source.x, PIXELS[order][chosen])
  with pytest.raises(FileNotFoundError, match='no-such'):
    read(tmp_path / 'no-such')
