"""Pictures in a zip, such as StyleGAN's, are read without unpacking it."""

import io
import json
import stat
import zipfile

import numpy as np
import pytest
from PIL import Image

from gan_jax import data
from gan_jax.data import check, image_dir, zip_members
from gan_jax.data.array_source import split_indices

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 8, 8, 3), np.uint8)
LABELS = [i % 3 for i in range(12)]


def png(x):
  stream = io.BytesIO()
  Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x).save(stream, 'PNG')
  return stream.getvalue()


def name_of(i):
  return f'{i // 1000:05d}/img{i:08d}.png'


def write_zip(path, members, labels=None, kind=zipfile.ZIP_STORED, **more):
  """A zip of {name: content}; labels as in a dataset.json."""
  with zipfile.ZipFile(path, 'w', kind) as archive:
    for name, content in members.items():
      archive.writestr(name, content)
    if labels is not None:
      archive.writestr('dataset.json', json.dumps({'labels': labels, **more}))
  return path


@pytest.fixture
def stylegan(tmp_path):
  """A zip as StyleGAN's dataset_tool.py writes it."""
  members = {name_of(i): png(x) for i, x in enumerate(PIXELS)}
  labels = [[name_of(i), label] for i, label in enumerate(LABELS)]
  return write_zip(tmp_path / 'photos.zip', members, labels)


def read(path, split='train', **options):
  return data.make_source(
    {'name': 'folder', 'path': str(path), 'size': 8, **options}, split
  )


def spoil(path, old, new):
  content = path.read_bytes()
  assert old in content
  path.write_bytes(content.replace(old, new))


class Track:
  def __call__(self, description, total):
    self.description, self.done = description, 0
    return self.advance

  def advance(self, count):
    self.done += count


@pytest.mark.parametrize('memory_mb', [0, 64])
def test_pixels_and_labels_are_those_of_the_zip(stylegan, memory_mb):
  for split in ('train', 'test'):
    source = read(stylegan, split, test_fraction=0.3, memory_mb=memory_mb)
    chosen = split_indices(12, split, 0.3)
    batch = source[np.arange(len(source))]
    np.testing.assert_array_equal(batch['x'], PIXELS[chosen])
    np.testing.assert_array_equal(batch['label'], np.array(LABELS)[chosen])
    assert source.classes == 3 and source.class_names == ()


def test_a_zip_equals_its_directory_unpacked(stylegan, tmp_path):
  with zipfile.ZipFile(stylegan) as archive:
    archive.extractall(tmp_path / 'photos')
  packed, unpacked = read(stylegan), read(tmp_path / 'photos')
  np.testing.assert_array_equal(packed.x, unpacked.x)
  np.testing.assert_array_equal(packed.label, unpacked.label)
  assert packed.listing == unpacked.listing


def test_samples_in_a_zip_are_scored_as_they_are(stylegan):
  source = data.open_samples(stylegan)
  assert source.shape == (8, 8, 3)
  np.testing.assert_array_equal(source[np.arange(12)]['x'], PIXELS)


@pytest.mark.parametrize('kind', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_directories_in_a_zip_are_classes(tmp_path, kind):
  members = {
    f'pets/{"ab"[i % 2]}/{i:02}.png': png(x) for i, x in enumerate(PIXELS)
  }
  path = write_zip(tmp_path / 'pets.zip', members, kind=kind)
  source = read(path, test_fraction=0.5)
  assert source.class_names == ('a', 'b')
  labels = {x.tobytes(): i % 2 for i, x in enumerate(PIXELS)}
  assert source.label.tolist() == [labels[x.tobytes()] for x in source.x]


def test_names_of_windows(tmp_path):
  path = tmp_path / 'photos.zip'
  labels = [[name_of(i).replace('/', '\\'), 0] for i in range(12)]
  members = {name_of(i): png(x) for i, x in enumerate(PIXELS)}
  write_zip(path, members, labels)
  assert read(path).label.tolist() == [0] * 11
  spoil(path, b'00000/img', b'00000\\img')
  assert image_dir.scan_images(path).names == sorted(members)
  assert read(path).label.tolist() == [0] * 11


@pytest.mark.parametrize(
  'label, message',
  [
    (0.5, r'00000/img00000000\.png has the label 0\.5, a fraction;'),
    ([0, 1], r'img00000000\.png has the label \[0, 1\], a vector;'),
    ('cat', "'cat', a text"),
    (-1, 'label -1'),
    (True, 'label True'),
  ],
)
def test_labels_that_are_no_classes_are_named(tmp_path, label, message):
  members = {name_of(i): png(x) for i, x in enumerate(PIXELS)}
  labels = [[name, 0] for name in members]
  labels[0][1] = label
  path = write_zip(tmp_path / 'photos.zip', members, labels)
  with pytest.raises(ValueError, match=message):
    read(path)


def test_labels_from_1_are_mapped_and_said(tmp_path):
  members = {name_of(i): png(x) for i, x in enumerate(PIXELS)}
  labels = [[name, 1 + i % 2] for i, name in enumerate(members)]
  path = write_zip(tmp_path / 'photos.zip', members, labels)
  train, test = (read(path, s, test_fraction=0.5) for s in ('train', 'test'))
  with pytest.warns(UserWarning, match='labels 1, 2 become the classes 0 to 1'):
    train, test = data.match_classes(train, test)
  assert set(train.label.tolist()) == {0, 1}


def test_names_of_classes_in_a_dataset_json(tmp_path):
  members = {name_of(i): png(x) for i, x in enumerate(PIXELS)}
  labels = [[name, i % 2] for i, name in enumerate(members)]
  path = tmp_path / 'photos.zip'
  write_zip(path, members, labels, class_names=['cat', 'dog'])
  assert read(path).class_names == ('cat', 'dog')
  write_zip(path, members, labels, class_names=['cat'])
  with pytest.raises(ValueError, match="label 1, and 'class_names' has 1"):
    read(path)


def test_hostile_names_are_keys_and_nothing_is_written(tmp_path):
  good = {f'{i}.png': png(x) for i, x in enumerate(PIXELS)}
  bad = {name: png(PIXELS[0]) for name in ('../up.png', 'a/../../b.png')}
  (tmp_path / 'in').mkdir()
  path = write_zip(tmp_path / 'in' / 'photos.zip', {**good, **bad})
  with zipfile.ZipFile(path, 'a') as archive:
    link = zipfile.ZipInfo('link.png')
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(link, '/etc/hostname')
    archive.writestr(zipfile.ZipInfo(''), b'no name')
  found = image_dir.scan_images(path)
  assert found.names == sorted(good)
  assert found.left_out == {'hidden': 3, 'link': 1}
  read(path)
  assert [p.name for p in tmp_path.rglob('*')] == ['in', 'photos.zip']
  assert zip_members.safe_name('/etc/x.png') == 'etc/x.png'


def test_a_name_that_is_there_twice(tmp_path):
  path = tmp_path / 'photos.zip'
  write_zip(path, {'a.png': png(PIXELS[0]), 'b.png': png(PIXELS[1])})
  spoil(path, b'b.png', b'a.png')
  with pytest.raises(ValueError, match=r'photos\.zip has a\.png twice'):
    read(path)


@pytest.mark.parametrize('memory_mb', [0, 64])
def test_broken_members_are_named_or_skipped(stylegan, memory_mb):
  second, third = png(PIXELS[2]), png(PIXELS[3])
  spoil(stylegan, second, second[:-30] + b'\1' + second[-29:])
  spoil(stylegan, third, third[:10] + b'\1' + third[11:])
  track = Track()
  options = dict(name='folder', path=str(stylegan), size=8)
  problems = list(check.find_problems(options, track))
  assert track.done == 12 and '12 in' in track.description
  assert len(problems) == 2
  for i, problem in zip((2, 3), problems):
    assert f'photos.zip/{name_of(i)}: Bad CRC-32' in problem
  with pytest.raises(ValueError, match='broken image .*Bad CRC-32'):
    for split in ('train', 'test'):
      source = read(stylegan, split, memory_mb=memory_mb)
      source[np.arange(len(source))]
  with pytest.warns(UserWarning, match='skipped 2 of the 11 train images'):
    assert len(read(stylegan, skip_broken=True, memory_mb=memory_mb)) == 9


def test_a_zip_cut_short_or_none(stylegan, tmp_path):
  content = stylegan.read_bytes()
  for other in (content[:-30], content[: len(content) // 2], b'', b'no zip'):
    stylegan.write_bytes(other)
    with pytest.raises(
      ValueError, match=r'photos\.zip cannot be read as a zip'
    ):
      read(stylegan)
  path = write_zip(tmp_path / 'texts.zip', {'a.txt': b'text'})
  with pytest.raises(FileNotFoundError, match='no images in .* but 1 txt'):
    read(path)


def test_sizes_that_lie_are_not_believed(tmp_path):
  path = tmp_path / 'photos.zip'
  bomb = b'\0' * 2**24
  members = {f'{i}.png': png(x) for i, x in enumerate(PIXELS)}
  write_zip(path, {**members, 'bomb.png': bomb}, kind=zipfile.ZIP_DEFLATED)
  content = path.read_bytes()
  size = len(bomb).to_bytes(4, 'little')
  # Says that it is small, and that it is large.
  for claimed in (100, 2**31 - 1):
    other = content.replace(size, claimed.to_bytes(4, 'little'))
    assert other != content
    path.write_bytes(other)
    with zip_members.ZipReader(path) as reader:
      info = reader.members()[-1]
      with pytest.raises(Exception, match='CRC|declares 2,147,483,647 bytes'):
        reader.read(info)


def test_a_dataset_json_that_cannot_be_read(tmp_path):
  members = {'a.png': png(PIXELS[0]), 'b.png': png(PIXELS[1])}
  path = write_zip(tmp_path / 'p.zip', {**members, 'dataset.json': b'{"labels'})
  with pytest.raises(ValueError, match=r'p\.zip/dataset\.json is not valid'):
    read(path)
  spoil(path, b'{"labels', b'{"lobels')
  with pytest.raises(ValueError, match=r'dataset\.json is broken: Bad CRC'):
    read(path)


def test_a_zip_is_a_directory_in_a_config():
  from gan_jax import config as config_lib

  config = config_lib.resolve({'data': {'name': 'zip'}})
  assert config.data.name == 'folder'
