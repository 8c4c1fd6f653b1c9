"""Which files of a directory are images, and what their classes are."""

import json

import numpy as np
import pytest
from PIL import Image

from gan_jax import data
from gan_jax.data import file_dir, image_dir


def fill(root, names):
  """Empty files: a listing reads no image."""
  for name in names:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
  return root


def scan(root, names=()):
  return image_dir.scan_images(fill(root, names))


def labels_of(root, names, labels, **more):
  (root / 'dataset.json').write_text(json.dumps({'labels': labels, **more}))
  return file_dir.find_classes(scan(root, names))


def test_suffixes_in_any_case_are_counted(tmp_path):
  kinds = 'png PNG jpg JPEG jpe JFIF webp bmp gif GIF tif TIFF apng'.split()
  found = scan(tmp_path, [f'{i}.{kind}' for i, kind in enumerate(kinds)])
  assert len(found.names) == len(kinds) and not found.left_out
  assert '13 in ' in found.describe() and '2 gif, 2 png, ' in found.describe()
  assert 'left out' not in found.describe()


def test_what_is_left_out_is_counted(tmp_path):
  names = ['a.png', 'b.txt', 'c.TXT', 'd', '.hidden', 'e.x\ny']
  found = scan(tmp_path, names)
  text = found.describe()
  assert found.names == ['a.png']
  assert '1 png; left out: 2 txt' in text and '1 hidden' in text
  assert '1 without a suffix' in text and r'1 x\ny' in text and '\n' not in text


def test_images_of_kinds_that_are_not_read_are_warned_of(tmp_path):
  with pytest.warns(UserWarning, match='2 heic, 1 ppm are left out.*.png'):
    scan(tmp_path, ['a/a.png', 'b/b.heic', 'b/c.HEIC', 'b/d.ppm', 'b/n.txt'])


def test_a_directory_of_other_kinds_says_which(tmp_path):
  with pytest.raises(FileNotFoundError, match='3 heic, 1 txt; .*.png'):
    scan(tmp_path, ['a.heic', 'b.heic', 'c/d.heic', 'e.txt'])
  (tmp_path / 'empty').mkdir()
  with pytest.raises(FileNotFoundError, match='nothing'):
    scan(tmp_path / 'empty')


def test_order_is_by_directory_and_then_by_name(tmp_path):
  names = ['a-b/1.png', 'a/2.png', 'a/1.png', 'a.png', 'a/b/c.png']
  found = scan(tmp_path, names)
  assert found.names == sorted(found.names, key=lambda n: n.split('/'))
  assert found.paths == sorted(tmp_path / name for name in names)


# ---- Classes.

SHARDS = [f'{i // 2:05}/img{i:08}.png' for i in range(6)]


def test_labels_of_a_dataset_json(tmp_path):
  listed = [[name, i % 3] for i, name in enumerate(reversed(SHARDS))]
  labels, names = labels_of(tmp_path, SHARDS, listed)
  np.testing.assert_array_equal(labels, [2, 1, 0, 2, 1, 0])
  assert labels.dtype == np.int32 and names == ()


def test_labels_of_a_dataset_json_may_be_null(tmp_path):
  assert labels_of(tmp_path, SHARDS, None) == (None, ())


def test_windows_paths_in_a_dataset_json(tmp_path):
  listed = [[name.replace('/', '\\'), 4] for name in SHARDS]
  np.testing.assert_array_equal(labels_of(tmp_path, SHARDS, listed)[0], [4] * 6)


@pytest.mark.parametrize(
  'change, message',
  [
    (
      lambda listed: listed[1:],
      'no label of 1 of the 6 images, such as 00000/',
    ),
    (lambda listed: [[n, [0.5, 1]] for n, _ in listed], r'\[0.5, 1\]'),
    (lambda listed: [[n, -1] for n, _ in listed], '-1; .* from 0'),
    (lambda listed: [[n, True] for n, _ in listed], 'True; .* integers'),
    (lambda listed: {'a': 1}, 'null or a list'),
    (lambda listed: 7, 'null or a list'),
    (lambda listed: [[1, 2]], 'null or a list'),
  ],
)
def test_a_wrong_dataset_json_is_named(tmp_path, change, message):
  listed = change([[name, 0] for name in SHARDS])
  with pytest.raises(ValueError, match=f'dataset.json.*{message}'):
    labels_of(tmp_path, SHARDS, listed)


def test_labels_of_missing_images_are_warned_of(tmp_path):
  listed = [[name, 0] for name in [*SHARDS, 'gone.png']]
  with pytest.warns(UserWarning, match='labels of 1 images'):
    labels_of(tmp_path, SHARDS, listed)


def test_a_dataset_json_of_another_program_does_not_matter(tmp_path):
  (tmp_path / 'dataset.json').write_text('{"name": "cats"}')
  found = scan(tmp_path, ['a/1.png', 'b/2.png'])
  assert file_dir.find_classes(found)[1] == ('a', 'b')
  (tmp_path / 'dataset.json').write_text('no json')
  with pytest.raises(ValueError, match='dataset.json is not valid JSON'):
    file_dir.find_classes(found)
  assert file_dir.find_classes(found, 'directories')[1] == ('a', 'b')
  assert file_dir.find_classes(found, 'none') == (None, ())


def test_a_dataset_json_that_is_a_link_out_of_the_directory(tmp_path):
  (tmp_path / 'other.json').write_text('{"labels": null}')
  fill(tmp_path / 'a', SHARDS)
  (tmp_path / 'a' / 'dataset.json').symlink_to(tmp_path / 'other.json')
  with pytest.raises(ValueError, match='dataset.json is a link to'):
    scan(tmp_path / 'a')


@pytest.mark.parametrize(
  'names, classes',
  [
    ([f'{i // 1000:05}/img{i:08}.png' for i in (0, 999, 1000, 2500)], ()),
    ([f'{i // 1000 * 1000:05}/{i:05}.png' for i in (0, 999, 1000, 2500)], ()),
    (['00000/00000_00001.png', '00001/00000_00001.png'], ('00000', '00001')),
    (['00000/1.png', '00001/2.png'], ('00000', '00001')),
    (['0/1.png', '1/2.png'], ('0', '1')),
  ],
)
def test_numbered_shards_are_no_classes(tmp_path, names, classes):
  assert file_dir.find_classes(scan(tmp_path, names))[1] == classes


@pytest.mark.parametrize(
  'names',
  [
    ['train/a.png', 'val/b.png'],
    ['Train/x/a.png', 'valid/x/b.png', 'unlabeled/c.png'],
    ['train/cat/a.png', 'train/dog/b.png'],
    ['test/a.png', 'training/b.png'],
  ],
)
def test_splits_are_asked_about(tmp_path, names):
  found = scan(tmp_path, names)
  split = names[0].split('/')[0]
  with pytest.raises(ValueError, match=f'{tmp_path}/{split}.* as asked'):
    file_dir.find_classes(found, hint=' as asked')
  assert file_dir.find_classes(found, 'none') == (None, ())
  assert split in file_dir.find_classes(found, 'directories')[1]


def test_a_class_may_have_the_name_of_a_split(tmp_path):
  found = scan(tmp_path, ['train/a.png', 'bus/b.png', 'car/c.png'])
  assert file_dir.find_classes(found)[1] == ('bus', 'car', 'train')


def test_names_of_files_are_printed_on_one_line(tmp_path):
  root = tmp_path / 'a\nb\x1b[31m'
  for name in ('train/1.png', 'val/2.png'):
    (root / name).parent.mkdir(parents=True)
    (root / name).write_bytes(b'no image')
  attempts = [
    lambda: data.make_source({'name': 'folder', 'path': str(root)}),
    lambda: data.make_source({'name': 'folder', 'path': str(root / 'no')}),
    lambda: data.open_samples(root),
    lambda: data.open_samples(root / 'train'),
    lambda: data.open_samples(root / 'missing'),
  ]
  for attempt in attempts:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
      attempt()
    text = str(caught.value)
    assert r'a\nb\x1b[31m' in text and text.isprintable()


def test_a_folder_says_what_it_took(tmp_path):
  for i, name in enumerate(['a/0.gif', 'a/1.gif', 'b/2.png', 'b/3.tif']):
    fill(tmp_path, [name])
    Image.new('L', (8, 8), i).save(tmp_path / name)
  fill(tmp_path, ['b/notes.txt'])
  for source in (
    data.make_source({'name': 'folder', 'path': str(tmp_path), 'size': 8}),
    data.open_samples(tmp_path),
  ):
    assert source.class_names == ('a', 'b')
    assert '2 gif, 1 png, 1 tif; left out: 1 txt; 2 classes: a, b' in (
      source.description
    )
