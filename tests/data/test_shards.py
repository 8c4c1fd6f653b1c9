"""Shards are read by index, and have the images and classes of their source."""

import json
import tarfile

import numpy as np
import pytest

from gan_jax import data
from gan_jax.data import (
  batches,
  check,
  import_images,
  prepare,
  shard_writer,
  shards,
)
from gan_jax.data.array_source import split_indices
from tests.data.test_import_images import PIXELS, png, shard, write_tar


def make(tmp_path, **options):
  """Two tar files of 6 images each, and an index beside them."""
  root = tmp_path / 'in'
  root.mkdir()
  tars = [write_tar(root / f'{k}.tar', shard(6 * k, 6 * k + 6)) for k in (0, 1)]
  import_images.import_images(tars, root, **options)
  return root


def open_split(root, split='train', **options):
  return data.make_source(
    {'name': 'folder', 'path': str(root), 'size': 8, **options}, split
  )


def read(source):
  """The examples of a source as (pixels, label), sorted."""
  batch = source[np.arange(len(source))]
  return sorted(
    (x.tobytes(), int(label)) for x, label in zip(batch['x'], batch['label'])
  )


def expected(split):
  chosen = split_indices(12, split, 0.1)
  return sorted((PIXELS[i].tobytes(), i % 3) for i in chosen)


@pytest.mark.parametrize('memory_mb', [0, 1])
def test_an_index_beside_tar_files(tmp_path, memory_mb):
  root = make(tmp_path)
  assert sorted(path.name for path in root.iterdir()) == [
    *('0.tar', '1.tar', 'index.bin', 'index.json'),
  ]
  for split in ('train', 'test'):
    source = open_split(root, split, memory_mb=memory_mb)
    assert isinstance(source, shards.ShardSource) == (memory_mb == 0)
    assert read(source) == expected(split)
    labels = [label for _, label in expected(split)]
    share = np.bincount(labels) / len(labels)
    np.testing.assert_allclose(source.class_share, share)
    assert '12 in 2 tar files' in source.description and source.listing
  assert 'label' not in open_split(root, classes='none')[np.arange(2)]
  with pytest.raises(ValueError, match='classes=directories'):
    open_split(root, classes='directories')


def test_the_order_does_not_depend_on_the_memory(tmp_path):
  root, order = make(tmp_path), np.array([5, 0, 9])
  a, b = (open_split(root, memory_mb=m)[order] for m in (0, 1))
  np.testing.assert_array_equal(a['x'], b['x'])
  np.testing.assert_array_equal(a['label'], b['label'])


def test_a_directory_becomes_shards(tmp_path, monkeypatch):
  monkeypatch.setattr(shard_writer, '_SHARD_BYTES', 3000)
  for i, x in enumerate(PIXELS):
    path = tmp_path / 'photos' / 'ab'[i % 2] / f'{i:02}.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(x))
  target = tmp_path / 'out'
  result = import_images.import_images([tmp_path / 'photos'], target)
  assert result.count == 12 and result.class_names == ('a', 'b')
  assert sorted(p.name for p in tmp_path.iterdir()) == ['out', 'photos']
  tars = sorted(target.glob('*.tar'))
  assert len(tars) > 2
  with tarfile.open(tars[0]) as archive:
    content = archive.extractfile(archive.next()).read()
  assert content == png(PIXELS[0])  # as they are; other programs read them
  in_order = [*PIXELS[::2], *PIXELS[1::2]]
  found = shards.open_shards(target)
  assert [found.read(place) for place in found.places] == [
    png(x) for x in in_order
  ]
  source = open_split(target, memory_mb=0)
  assert source.class_names == ('a', 'b')
  chosen = split_indices(12, 'train', 0.1)
  wanted = sorted((in_order[i].tobytes(), int(i >= 6)) for i in chosen)
  assert read(source) == wanted


def test_classes_of_directories_in_a_tar(tmp_path):
  members = [(f'p/{"ba"[i % 2]}/{i}.png', png(x)) for i, x in enumerate(PIXELS)]
  path = write_tar(tmp_path / 'pets.tar', members)
  result = import_images.import_images([path], tmp_path / 'out')
  assert result.labels == (1, 0) * 6 and result.class_names == ('a', 'b')
  assert shards.open_shards(tmp_path / 'out').places['label'].tolist() == [
    *(1, 0) * 6
  ]


def test_splits_are_those_of_other_sources_without_a_list():
  for size, fraction in ((12, 0.1), (1000, 0.33)):
    for split in ('train', 'test'):
      found = shards.Split(size, split, fraction)
      np.testing.assert_array_equal(
        np.sort(found[np.arange(len(found))]),
        split_indices(size, split, fraction),
      )
  train, test = (shards.Split(2**31 - 1, s, 0.1) for s in ('train', 'test'))
  assert len(train) + len(test) == 2**31 - 1
  assert train[np.array([0, len(train) - 1])].min() >= 0
  with pytest.raises(IndexError, match='from 12 to 12; must be from 0 to 11'):
    shards.Split(13, 'train', 0.1)[[12]]
  with pytest.raises(ValueError, match='needs at least 2'):
    shards.Split(1, 'train', 0.1)


def test_processes_read_parts_of_a_batch_of_any_step(tmp_path):
  source = open_split(make(tmp_path), memory_mb=0)
  options = dict(seed=3, batch_size=4, d_steps=1)
  late = batches.read_batches(source, 10**6 + 1, 1, **options)
  both = batches.read_batches(source, 10**6, 2, **options)
  np.testing.assert_array_equal(late['x'][0], both['x'][1])
  parts = [
    batches.read_batches(source, 10**6, 2, shard=(i, 2), **options)
    for i in (0, 1)
  ]
  for name, whole in both.items():
    joined = np.concatenate([part[name] for part in parts], axis=2)
    np.testing.assert_array_equal(joined, whole)


def test_a_broken_image_is_named_when_it_is_read(tmp_path):
  root = make(tmp_path)
  place = shards.open_shards(root).places[7]
  with open(root / '1.tar', 'r+b') as file:
    file.seek(int(place['offset']) + 60)
    file.write(bytes(8))
  message = (
    rf'broken image .*1\.tar at byte {place["offset"]:,}, image 7: wrong'
  )
  source = open_split(root, memory_mb=0)
  with pytest.raises(ValueError, match=message):
    source[np.arange(len(source))]
  problems = prepare_check(root)
  assert len(problems) == 1 and '1.tar' in problems[0]


def prepare_check(root):
  spec = {'name': 'folder', 'path': str(root), 'size': 8}
  return list(check.find_problems(spec, lambda what, total: lambda n: None))


def change_about(root, **changes):
  path = root / 'index.json'
  path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
  'change, message',
  [
    (lambda root: (root / '1.tar').unlink(), r'the shard .*1\.tar is missing'),
    (lambda root: (root / '1.tar').write_bytes(b''), 'has 0 bytes, and had'),
    (
      lambda root: (root / 'index.bin').write_bytes(b'123'),
      'has 3 bytes; must',
    ),
    (lambda root: change_about(root, format=2), 'format=2; must be 1'),
    (lambda root: change_about(root, shards=7), 'is no index of shards'),
    (
      lambda root: change_about(root, shards=[['../0.tar', 1]]),
      'must lie in the directory itself',
    ),
    (
      lambda root: (
        (root / '0.tar').rename(root.parent / '0.tar'),
        (root / '0.tar').symlink_to(root.parent / '0.tar'),
      ),
      'is a link to .*, outside of .*; to allow it, set follow_symlinks',
    ),
  ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path, change, message):
  root = make(tmp_path)
  change(root)
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    open_split(root)


def test_places_outside_of_the_tar_files_are_refused(tmp_path):
  root = make(tmp_path)
  places = np.fromfile(root / 'index.bin', shards.PLACE)
  places['offset'] += 10**9
  places['shard'][3] = 77
  places.tofile(root / 'index.bin')
  problems = prepare_check(root)
  assert len(problems) == 12 and 'the tar file has 0 of' in problems[0]
  assert 'shard 77' in problems[3]


def test_targets_that_are_refused(tmp_path):
  root = make(tmp_path)
  tars = sorted(root.glob('*.tar'))
  (tmp_path / 'full').mkdir()
  (tmp_path / 'full' / 'file').touch()
  zipped = write_tar(tmp_path / 'z' / 'a.tar.gz', shard(0, 3), 'w:gz')
  small = import_images.ImportFormat(size=4)
  for sources, to, form, error, message in (
    (tars, root, small, ValueError, 'with a size, name another one'),
    (tars, root, None, FileExistsError, r'index\.json exists already'),
    (
      tars,
      tmp_path / 'full',
      None,
      ValueError,
      'full: must be a new directory',
    ),
    ([zipped], tmp_path / 'z', None, ValueError, r'a\.tar\.gz is compressed'),
    ([tars[0], tars[0]], root, None, ValueError, 'one of them is named twice'),
  ):
    with pytest.raises(error, match=message):
      import_images.import_images(
        sources, to, form or import_images.ImportFormat()
      )
  assert [path.name for path in (tmp_path / 'z').iterdir()] == ['a.tar.gz']
  import_images.import_images(tars, root, overwrite=True, classes='none')
  assert not open_split(root).classes


def test_an_interrupted_import_leaves_nothing(tmp_path, monkeypatch):
  path = write_tar(tmp_path / 'a.tar', shard(0, 12))

  def interrupted(self, *arguments):
    raise KeyboardInterrupt

  for target in ('new', '.'):
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
      patched.setattr(shard_writer._Index, 'finish', interrupted)
      import_images.import_images([path], tmp_path / target)
    assert [p.name for p in tmp_path.iterdir()] == ['a.tar']


def test_the_program_says_what_it_wrote(tmp_path, capsys):
  path = write_tar(tmp_path / 'a.tar', shard(0, 12))
  prepare.main([str(path), f'--to={tmp_path}'])
  printed = capsys.readouterr().out
  assert '12 images, 3 classes' in printed
  assert f"update(path='{tmp_path}', size=8)" in printed
