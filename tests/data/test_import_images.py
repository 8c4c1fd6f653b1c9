"""Images are imported once into a zip of StyleGAN's layout, or not at all."""

import io
import json
import os
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from gan_jax import data
from gan_jax.data import import_images, prepare, zip_writer
from gan_jax.data.array_source import split_indices

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)


def png(x):
  stream = io.BytesIO()
  Image.fromarray(x).save(stream, 'PNG')
  return stream.getvalue()


def write_tar(path, members, mode='w'):
  """A tar of {name: content, or a changed TarInfo}."""
  path.parent.mkdir(exist_ok=True)
  with tarfile.open(path, mode) as archive:
    for name, content in members:
      info = tarfile.TarInfo(name)
      if isinstance(content, bytes):
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
      else:
        info.type, info.linkname = content
        archive.addfile(info)
  return path


def shard(first, last, label=lambda i: f'{i % 3}\n'.encode(), kind='cls'):
  for i in range(first, last):
    yield f'{i:06d}.png', png(PIXELS[i])
    yield f'{i:06d}.{kind}', label(i)
    yield f'{i:06d}.txt', b'a caption'


def run(*sources, to, **options):
  return import_images.import_images(list(sources), to, **options)


def read_all(path):
  """The images and labels of a zip, in its own order."""
  with zipfile.ZipFile(path) as archive:
    listed = json.loads(archive.read('dataset.json'))
    names = [n for n in archive.namelist() if n != 'dataset.json']
    content = [archive.read(name) for name in names]
  return names, content, listed


def test_shards_of_webdataset(tmp_path):
  shards = [
    write_tar(tmp_path / f'{k}.tar', shard(6 * k, 6 * k + 6)) for k in (0, 1)
  ]
  before = [path.read_bytes() for path in shards]
  result = run(*shards, to=tmp_path / 'out.zip')
  assert result.count == 12 and result.left_out == {'.txt': 12}
  assert result.sizes == {(8, 8)}
  names, content, listed = read_all(tmp_path / 'out.zip')
  assert names[11] == '00000/img00000011.png'
  assert content == [png(x) for x in PIXELS]  # as they are
  assert listed == {'labels': [[n, i % 3] for i, n in enumerate(names)]}
  assert [path.read_bytes() for path in shards] == before
  source = data.make_source(
    {'name': 'folder', 'path': str(tmp_path / 'out.zip'), 'size': 8}
  )
  chosen = split_indices(12, 'train', 0.1)
  np.testing.assert_array_equal(source.x, PIXELS[chosen])
  np.testing.assert_array_equal(source.label, chosen % 3)


@pytest.mark.parametrize('key', ['label', 'cls'])
def test_labels_in_json_and_a_compressed_tar(tmp_path, key):
  label = lambda i: json.dumps({'url': 'x', key: i % 2}).encode()
  path = write_tar(
    tmp_path / 'a.tar.gz', shard(0, 12, label, 'json'), mode='w:gz'
  )
  assert run(path, to=tmp_path / 'o.zip').labels == (0, 1) * 6


def test_a_tar_of_directories_has_their_classes(tmp_path):
  members = [
    (f'./pets/{"ab"[i % 2]}/{i}.png', png(x)) for i, x in enumerate(PIXELS)
  ]
  members.insert(0, ('./pets', (tarfile.DIRTYPE, '')))
  path = write_tar(tmp_path / 'pets.tar', members)
  # A dot begins each name, as of `tar c .`
  result = run(path, to=tmp_path / 'o.zip')
  assert result.labels == (0, 1) * 6 and result.class_names == ('a', 'b')
  result = run(path, to=tmp_path / 'p.zip', classes='none')
  assert result.labels is None
  assert read_all(tmp_path / 'p.zip')[2] == {'labels': None}


def test_a_folder_is_resized_once(tmp_path):
  for i, x in enumerate(PIXELS):
    path = tmp_path / 'photos' / 'ab'[i % 2] / f'{i:02}.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(x[:6]).save(path)
  form = import_images.ImportFormat(size=4, channels=1)
  result = run(tmp_path / 'photos', to=tmp_path / 'o.zip', form=form)
  assert result.class_names == ('a', 'b') and result.count == 12
  spec = {'name': 'folder', 'size': 4, 'channels': 1}
  for split in ('train', 'test'):
    read = lambda path, split=split: data.make_source(
      {**spec, 'path': str(tmp_path / path)}, split
    )
    np.testing.assert_array_equal(read('photos').x, read('o.zip').x)
    np.testing.assert_array_equal(read('photos').label, read('o.zip').label)
    assert read('o.zip').class_names == ('a', 'b')
  # A zip is imported as a directory is, with the names of its classes.
  again = run(tmp_path / 'o.zip', to=tmp_path / 'p.zip')
  assert again.class_names == ('a', 'b') and again.labels == result.labels


def test_hostile_members_are_not_read_or_written(tmp_path):
  members = [
    ('/etc/absolute.png', png(PIXELS[0])),
    ('../../up.png', png(PIXELS[1])),
    ('a/../../b.png', png(PIXELS[2])),
    ('link.png', (tarfile.SYMTYPE, '/etc/hostname')),
    ('hard.png', (tarfile.LNKTYPE, '/etc/hostname')),
    ('pipe.png', (tarfile.FIFOTYPE, '')),
    ('good.png', png(PIXELS[3])),
  ]
  (tmp_path / 'in').mkdir()
  path = write_tar(tmp_path / 'in' / 'a.tar', members)
  result = run(path, to=tmp_path / 'in' / 'o.zip', classes='none')
  assert result.left_out == {'hidden': 2, 'link': 3}
  names, content, _ = read_all(tmp_path / 'in' / 'o.zip')
  assert names == ['00000/img00000000.png', '00000/img00000001.png']
  assert content == [png(PIXELS[0]), png(PIXELS[3])]
  files = sorted(p.name for p in tmp_path.rglob('*'))
  assert files == ['a.tar', 'in', 'o.zip']


@pytest.mark.parametrize(
  'members, message',
  [
    (shard(0, 3, lambda i: b'one'), r'a\.tar/000000\.cls: .*one.*; must be an'),
    (shard(0, 3, lambda i: b'1.5'), r'000000\.cls: the label 1\.5; must be an'),
    (shard(0, 3, lambda i: b'-1'), r'000000\.cls: the label -1'),
    (
      [*shard(0, 3), ('3.png', png(PIXELS[3]))],
      r'1 of 4 images have no label, and the others have, such as .*/3\.png',
    ),
    (
      [
        ('0.a.png', png(PIXELS[0])),
        ('0.b.png', png(PIXELS[1])),
        ('0.cls', b'1'),
      ],
      r'0\.a\.png and 0\.b\.png are one example',
    ),
    ([('a.png', b'no image')], r'broken image .*a\.tar/a\.png'),
    ([('a.txt', b'')], r'no images in .*a\.tar'),
  ],
)
def test_what_cannot_be_imported_is_named(tmp_path, members, message):
  path = write_tar(tmp_path / 'a.tar', members)
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    run(path, to=tmp_path / 'o.zip')
  assert os.listdir(tmp_path) == ['a.tar']


def test_broken_images_can_be_skipped(tmp_path):
  members = [(f'{i}.png', png(x)) for i, x in enumerate(PIXELS)]
  members[4] = ('4.png', members[4][1][:-30])
  path = write_tar(tmp_path / 'a.tar', members)
  result = run(path, to=tmp_path / 'o.zip', skip_broken=True)
  assert result.count == 11 and result.broken == (f'{path}/4.png',)
  assert len(read_all(tmp_path / 'o.zip')[0]) == 11


def test_a_tar_cut_short(tmp_path):
  path = write_tar(tmp_path / 'a.tar', shard(0, 12))
  path.write_bytes(path.read_bytes()[:1700])
  with pytest.raises(ValueError, match=r'a\.tar cannot be read as a tar'):
    run(path, to=tmp_path / 'o.zip')
  path.write_bytes(b'no tar')
  with pytest.raises(ValueError, match=r'a\.tar cannot be read as a tar'):
    run(path, to=tmp_path / 'o.zip')


def test_an_interrupted_import_leaves_nothing(tmp_path, monkeypatch):
  path = write_tar(tmp_path / 'a.tar', shard(0, 12))
  (tmp_path / 'o.zip').write_bytes(b'old')
  add = zip_writer.ImageZipWriter.add

  def interrupted(self, *arguments):
    if self.count == 5:
      raise KeyboardInterrupt
    add(self, *arguments)

  monkeypatch.setattr(zip_writer.ImageZipWriter, 'add', interrupted)
  with pytest.raises(KeyboardInterrupt):
    run(path, to=tmp_path / 'o.zip', overwrite=True)
  assert sorted(os.listdir(tmp_path)) == ['a.tar', 'o.zip']
  assert (tmp_path / 'o.zip').read_bytes() == b'old'


def test_targets_and_sources_that_are_refused(tmp_path):
  path = write_tar(tmp_path / 'a.tar', shard(0, 3))
  (tmp_path / 'o.zip').write_bytes(b'old')
  for sources, to, error, message in (
    ([path], 'o.zip', FileExistsError, r'o\.zip exists already'),
    ([path], 'o.tar', ValueError, r'o\.tar: the target must be a \.zip'),
    ([tmp_path / 'none'], 'p.zip', FileNotFoundError, 'none does not exist'),
    ([path, tmp_path], 'p.zip', ValueError, '2 sources: several must be tar'),
    ([tmp_path / 'o.zip'], 'o.zip', ValueError, 'the source and the target'),
  ):
    with pytest.raises(error, match=message):
      run(*sources, to=tmp_path / to)
  assert (tmp_path / 'o.zip').read_bytes() == b'old'


def test_a_zip_of_too_many_images_is_refused(tmp_path, monkeypatch):
  path = write_tar(tmp_path / 'a.tar', shard(0, 12))
  run(path, to=tmp_path / 'few.zip')
  monkeypatch.setattr(zip_writer, 'MAX_IMAGES', 11)
  for source in (path, tmp_path / 'few.zip'):
    message = r'o\.zip: 12 images; a zip must have at most 11: name a directory'
    with pytest.raises(ValueError, match=message):
      run(source, to=tmp_path / 'o.zip')
  assert run(path, to=tmp_path / 'shards').count == 12


def test_the_program_says_what_it_wrote(tmp_path, capsys):
  path = write_tar(tmp_path / 'a.tar', shard(0, 12))
  target = tmp_path / 'o.zip'
  prepare.main([str(path), f'--to={target}'])
  printed = capsys.readouterr().out
  assert '12 images, 3 classes' in printed and '12 txt' in printed
  assert f"update(path='{target}', size=8)" in printed
  for arguments, message in (
    ([str(path), f'--to={target}'], r'exists already; --overwrite replaces it'),
    ([str(path)], r'a\.tar is a file: name the zip to write, --to=OUT\.zip'),
    ([str(path), f'--to={tmp_path / "p.zip"}', '--channels=2'], 'channels=2'),
  ):
    with pytest.raises(SystemExit, match=message):
      prepare.main(arguments)
