"""Tests of runner.sample: what it writes, what it refuses."""

import functools
import json
import pathlib
import shutil
import stat
import zipfile

import jax
import numpy as np
import pytest
from PIL import Image

from gan_jax import data, pixels
from gan_jax.report import images
from gan_jax.runner import (
  sample,
  sample_again,
  sample_indices,
  sample_session,
  sample_writers,
)
from tests.helpers import runs


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  """A conditional run on the digits of 8 x 8."""
  return runs.save_run(tmp_path_factory.mktemp('run'), runs.CLASSES)


@pytest.fixture(scope='module')
def load():
  """Opens runs as sample does, each once."""
  return functools.cache(sample_session.open_sampler)


@pytest.fixture
def call(monkeypatch, workdir, load, tmp_path):
  """Returns a function from fields of a request to the path written."""
  monkeypatch.setattr(sample_session, 'open_sampler', load)

  def run(what='grid', out='', **given):
    given = {'workdir': str(workdir), 'num_devices': 1} | given
    given = {
      k: tuple(v) if isinstance(v, list) else v for k, v in given.items()
    }
    path = str(tmp_path / out) if out else ''
    return sample.sample(
      sample.Request(what=what, out=path, **given), quiet=True
    )

  return run


@pytest.fixture
def sampler(load, workdir):
  return load(sample.Request(workdir=str(workdir), num_devices=1), workdir)[0]


def refused(call, *args, **given):
  """Returns the message with which a request is refused."""
  with pytest.raises((ValueError, OSError)) as error:
    call(*args, **given)
  assert '\n' not in str(error.value)
  return str(error.value)


def png(path):
  """Returns the pixels and the facts of a PNG."""
  return images.read_picture(path), images.read_about(path)


def test_files_npz_and_zip_have_the_same_pixels(call, sampler):
  wanted = dict(indices='0-3,11', seed=2, batch_size=2)
  indices = np.array([0, 1, 2, 3, 11])
  label = sampler.labels(indices)
  x = pixels.to_uint8(sampler.at(indices, seed=2))
  folder = call('files', 'files', **wanted)
  paths = sorted(folder.iterdir())
  assert [p.name for p in paths] == [
    f'seed2_index{i:06d}_class{c}.png' for i, c in zip(indices, label)
  ]
  for path, picture, index, c in zip(paths, x, indices, label):
    found, about = png(path)
    np.testing.assert_allclose(found, picture, atol=1)
    facts = (about['seed'], about['index'], about['class'], about['step'])
    assert facts == (2, index, c, 3) and len(about['weights_sha256']) == 16
  files = np.stack([images.read_picture(path) for path in paths])

  archive = call('npz', 'x.npz', **wanted)
  source = data.open_samples(archive)
  rows = source[np.arange(5)]
  np.testing.assert_array_equal(rows['x'], files)
  np.testing.assert_array_equal(rows['label'], label)
  about = json.loads((archive.parent / 'x.npz.json').read_text())
  assert about['indices'] == '0-3,11' and about['count'] == 5

  with zipfile.ZipFile(call('zip', 'x.zip', **wanted)) as stored:
    table = json.loads(stored.read('dataset.json'))['labels']
    assert [c for _, c in table] == label.tolist()
    names = [name for name, _ in table]
    assert names[:2] == ['00000/img00000000.png', '00000/img00000001.png']
    for name, picture in zip(names, files):
      with stored.open(name) as file, Image.open(file) as image:
        np.testing.assert_array_equal(np.asarray(image), picture[..., 0])


def test_an_npz_of_adm(call):
  with np.load(call('npz', 'x.npz', npz_key='arr_0', num_samples=3)) as found:
    assert set(found) == {'arr_0', 'label'} and found['arr_0'].shape[0] == 3
  assert 'npz_key' in refused(call, 'npz', 'y.npz', npz_key='label')


def test_a_grid_has_a_row_for_each_class(call, sampler):
  found, about = png(call(out='grid.png'))
  assert about['classes'] == list(np.repeat(np.arange(10), 2))
  assert (about['columns'], about['indices']) == (2, '0-19')
  x = sampler.at(np.array([7]), label=3)
  factor = found.shape[1] // (2 * 9 + 1)
  tile = found[factor // 2 :: factor, factor // 2 :: factor][28:36, 10:18]
  np.testing.assert_allclose(tile, pixels.to_uint8(x)[0], atol=1)


def test_a_tile_is_made_again(call):
  grid = call(out='grid.png', classes=['4', '2'], num_samples=6, columns=3)
  _, about = png(grid)
  assert about['classes'] == [4, 2, 4, 2, 4, 2]
  again = dict(again=str(grid), tile='1,2')
  folder = call('files', 'again', **again)
  (path,) = folder.iterdir()
  assert path.name == 'seed0_index000005_class2.png'
  whole = call('files', 'whole', again=str(grid))
  found = images.read_picture(whole / path.name)
  np.testing.assert_allclose(images.read_picture(path), found, atol=1)
  message = refused(call, 'files', 'x', again=str(grid), tile='2,0')
  assert '6 samples in rows of 3' in message
  assert 'give no others' in refused(call, again=str(grid), num_samples=2)
  other = about | {'weights_sha256': '0' * 16}
  images.save_png(Image.new('L', (9, 9)), grid, other)
  assert 'has other weights' in refused(call, 'files', 'y', again=str(grid))
  images.save_png(Image.new('L', (9, 9)), grid)
  assert 'does not say which' in refused(call, again=str(grid))
  assert 'tile of the PNG' in refused(call, tile='0,0')


def test_the_facts_of_single_samples_are_requests():
  request = sample.Request(again='x.png', psi=())
  about = {'index': 9, 'class': 1, 'step': 4, 'weights_sha256': 'a', 'psi': 0.5}
  about |= {'seed': 3, 'weights': 'raw'}
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(images, 'read_about', lambda path: about)
    found = sample_again.request_again(request)
  assert (found.indices, found.classes, found.checkpoint) == ('9', ('1',), '4')
  assert (found.seed, found.weights, found.psi) == (3, 'raw', (0.5,))


def test_a_walk_ends_where_it_began(call):
  path = call('walk', 'w.webp', indices='3-4', classes=['1'], frames=6)
  with Image.open(path) as film:
    assert (film.n_frames, film.info['loop']) == (12, 0)
    frames = []
    for i in range(12):
      film.seek(i)
      frames.append(np.asarray(film.convert('L'), np.float32))
  around = np.diff(np.stack([*frames, frames[0]]), axis=0)
  steps = np.abs(around).mean(axis=(1, 2))
  assert 0.3 < steps[-1] / steps[6:11].mean() < 3 and steps.min() > 0
  folder = call('walk', 'frames', indices='0', classes=['0-2'], frames=2)
  assert len(list(folder.iterdir())) == 6
  start, about = png(folder / 'frame000002.png')
  wanted = call('files', 'one', indices='0', classes=['1'])
  (path,) = wanted.iterdir()
  np.testing.assert_allclose(
    start[::32, ::32], images.read_picture(path), atol=1
  )
  assert about['classes'] == [0, 1, 2] and about['frame'] == 2
  assert 'needs two samples' in refused(call, 'walk', 'x.webp', num_samples=1)


@pytest.mark.slow
def test_neighbors_and_projections_show_distances(call, sampler):
  path = call('neighbors', 'near.png', num_samples=2, nearest=3)
  about = png(path)[1]
  rows = np.array(about['distances'])
  assert rows.shape == (2, 3) and (np.diff(rows, axis=1) >= 0).all()
  common = dict(classes=['3'], starts=8, steps=2)
  made = call('files', 'made', indices='1', classes=['3'])
  path = call('project', 'p.png', images=str(made), **common)
  about = png(path)[1]
  assert about['targets'] == ['seed0_index000001_class3.png']
  # The second start is the sample itself, and two steps do not go far.
  with np.load(path.with_suffix('.npz')) as found:
    wanted = sampler.latents(np.array([1]))
    np.testing.assert_allclose(found['points'], wanted, atol=0.5)
  points = str(path.with_suffix('.npz'))
  walk = call('walk', 'p', points=points, classes=['3', '5'], frames=2)
  frames = [images.read_picture(x) for x in sorted(walk.iterdir())]
  assert (
    len(frames) == 4 and png(walk / 'frame000000.png')[1]['points'] == points
  )
  assert 'has no array of points' in refused(
    call, 'walk', 'q', points=str(path), classes=['3']
  )
  Image.new('RGB', (20, 9)).save(made / 'other.png')
  message = refused(call, 'project', 'q.png', images=str(made), **common)
  assert 'other.png has 20 x 9 pixels; the generator makes 8 x 8' in message
  call('project', 'q.png', images=str(made), resize=True, **common)
  assert 'name that of the pictures' in refused(
    call, 'project', 'r.png', images=str(made)
  )


def test_directions_and_the_film_of_a_training(call, workdir):
  path = call('directions', 'd.png', indices='5', num_directions=2)
  about = png(path)[1]
  assert (about['method'], about['space'], about['index']) == ('SeFa', 'z', 5)
  with np.load(path.with_suffix('.npz')) as found:
    assert found['vectors'].shape == (6, 6)
  assert 'of one' in refused(call, 'directions', 'e.png', num_samples=2)
  assert 'no pictures of its training' in refused(call, 'film', 'f.webp')
  for step in (1, 2):
    picture = np.full((4, 4), 99 * step, np.uint8)
    images.save_png(
      Image.fromarray(picture), workdir / 'samples' / f'{step:08d}.png'
    )
  with Image.open(call('film', 'f.webp', fps=5)) as film:
    assert film.n_frames == 2
    film.seek(1)
    assert film.convert('L').getpixel((0, 0)) == 198


def test_several_devices_draw_the_same_files(call):
  options = dict(indices='0-6', batch_size=5)
  one = call('npz', 'one.npz', **options)
  assert len(jax.local_devices()) >= 4
  four = call('npz', 'four.npz', num_devices=4, **options)
  with np.load(one) as a, np.load(four) as b:
    np.testing.assert_allclose(a['x'].astype(int), b['x'], atol=1)
    np.testing.assert_array_equal(a['label'], b['label'])


def test_targets_are_not_overwritten_unasked(call, tmp_path):
  path = call('npz', 'x.npz', num_samples=2)
  before = path.read_bytes()
  assert 'x.npz exists' in refused(call, 'npz', 'x.npz', num_samples=3)
  assert path.read_bytes() == before
  call('npz', 'x.npz', num_samples=3, overwrite=True)
  assert path.read_bytes() != before
  folder = call('files', 'f', num_samples=3)
  (folder / 'own.txt').write_text('mine')
  assert 'f exists' in refused(call, 'files', 'f', num_samples=1)
  call('files', 'f', num_samples=1, overwrite=True)
  names = {p.name for p in folder.iterdir()}
  assert len(names) == 2 and 'own.txt' in names, 'other files stay'
  assert 'is a file; must be a directory' in refused(call, 'files', 'x.npz')
  assert 'must end in .png' in refused(call, 'grid', 'x.webp')
  (tmp_path / 'd.png').mkdir()
  assert 'is a directory' in refused(call, 'grid', 'd.png', overwrite=True)


def test_a_failure_leaves_no_half_file(call, monkeypatch, tmp_path):
  def fail(*unused):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(sample_writers, '_write_sidecar', fail)
  monkeypatch.setattr(zipfile.ZipFile, 'writestr', fail)
  assert 'No space left' in refused(call, 'zip', 'x.zip', num_samples=2)
  assert not list(tmp_path.iterdir())


BAD = [
  (dict(workdir='nowhere'), 'nowhere holds no run'),
  (dict(workdir=''), 'give workdir'),
  (dict(num_samples=0), 'num_samples=0: must be from 1'),
  (dict(num_samples=-3), 'num_samples=-3: must be from 1'),
  (dict(num_samples=2, indices='1'), 'give one of them'),
  (dict(indices='3-1'), "indices='3-1': must be numbers and ranges"),
  (dict(indices='9999999999'), 'must be below 2,147,483,648'),
  (dict(classes=['10']), 'class=10: must be a number from 0 to 9'),
  (dict(classes=['cat']), 'class=cat: must be a number from 0 to 9'),
  (dict(psi=['0.5']), 'psi=0.5: the generator has no styles'),
  (dict(psi=['x']), 'psi=x: must be numbers'),
  (dict(truncate_z=0.0), 'threshold=0.0: must be above 0'),
  (dict(batch_size=0), 'batch_size=0: must be from 1 to'),
  (dict(seed=-1), 'seed=-1: must be from 0 to 2,147,483,647'),
  (dict(seed=2**31), 'must be from 0 to 2,147,483,647'),
  (dict(columns=-1), 'columns=-1: must be from 0 to'),
  (dict(what='walk', frames=0), 'frames=0: must be from 1 to'),
  (dict(what='walk', num_samples=10**9), '24,000,000,000 frames'),
  (dict(what='project', starts=0), 'starts=0: must be from 4 to'),
  (dict(num_devices=99), 'num_devices=99'),
  (dict(what='mix'), 'has no styles w'),
  (dict(what='wav'), 'what=wav: the samples are images'),
  (dict(what='gird'), "unknown what 'gird'. Did you mean 'grid'"),
  (dict(num_samples=20_000), 'at most 10,000 in a grid'),
  (dict(what='walk', interpolation='w'), 'has no styles w'),
  (dict(what='walk', out='w.gif', fps=99.0), 'at most 50 for a .gif'),
  (dict(what='walk', out='w.avi'), 'must end in one of .webp'),
  (dict(what='neighbors', nearest=0), 'nearest=0: must be from 1 to'),
  (
    dict(what='project', images='gone.png', classes=['1']),
    'there is no such file',
  ),
]


@pytest.mark.parametrize('given, wanted', BAD, ids=lambda x: str(x)[:40])
def test_requests_that_are_refused(call, given, wanted, tmp_path):
  before = sorted(tmp_path.iterdir())
  given = {'out': ''} | given
  assert wanted in refused(call, **given)
  assert sorted(tmp_path.iterdir()) == before


def test_a_run_without_a_checkpoint(tmp_path, workdir):
  shutil.copy(workdir / 'config.json', tmp_path)
  request = sample.Request(workdir=str(tmp_path))
  with pytest.raises(FileNotFoundError, match='no latest checkpoint yet'):
    sample.sample(request, quiet=True)


def test_the_disk_is_asked_first(call, monkeypatch):
  usage = shutil.disk_usage('/')._replace(free=10**9)
  monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage)
  message = refused(call, 'files', 'x', num_samples=10**9)
  assert '1,000,000,000 samples takes about 4.1 TB' in message
  assert '1.0 GB free' in message
  # Each has a gray image and a class; the file has headers.
  assert sample_writers.estimated_bytes('npz', 10, (8, 8, 1)) == 680 + 4096


def test_an_mp4_needs_ffmpeg(call, monkeypatch, tmp_path):
  monkeypatch.setenv('PATH', str(tmp_path))
  options = dict(what='walk', out='w.mp4', num_samples=2, frames=2)
  assert 'needs the program ffmpeg' in refused(call, **options)
  fake = tmp_path / 'ffmpeg'
  # Keeps its input and its arguments.
  fake.write_text(
    '#!/bin/sh\nfor last; do :; done\n/bin/cat > "$last"\n'
    f'echo "$@" > {tmp_path}/arguments\n'
  )
  fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
  path = call(**options)
  assert path.stat().st_size == 4 * 256 * 256
  assert '-s 256x256' in (tmp_path / 'arguments').read_text()
  fake.write_text('#!/bin/sh\necho no codec >&2\nexit 3\n')
  message = refused(call, **(options | {'out': 'v.mp4'}))
  assert 'ffmpeg failed: no codec' in message


@pytest.mark.slow
def test_styles_are_mixed_and_walked(tmp_path):
  workdir = runs.save_run(tmp_path / 'run', runs.STYLES)
  common = dict(workdir=str(workdir), num_devices=1, psi=(0.7,))
  path = sample.sample(
    sample.Request(what='mix', rows='1', cols='2-3', styles='1-2', **common),
    quiet=True,
  )
  assert path.parent == workdir / 'generated' and 'psi0.7' in path.name
  about = images.read_about(path)
  assert (about['rows'], about['cols']) == ([1], [2, 3])
  assert (about['styles'], about['psi']) == ([1, 2], 0.7)
  grid = images.read_picture(path)
  request = sample.Request(what='files', indices='3', **common)
  (single,) = sample.sample(request, quiet=True).iterdir()
  width = 80
  left = 6 + 2 * (width + 6)
  tile = grid[6 : 6 + width : 10, left : left + width : 10, :1]
  np.testing.assert_allclose(tile, images.read_picture(single), atol=1)
  request = sample.Request(what='walk', num_samples=2, frames=2, **common)
  assert sample.sample(request, quiet=True).stat().st_size
  request = sample.Request(what='project', num_samples=1, starts=8, steps=2)
  for space in ('w', 'w+', 'z'):
    out = str(tmp_path / f'{space}.png')
    own = dict(workdir=str(workdir), space=space, out=out, what='project')
    sample.sample(
      sample.Request(num_samples=1, starts=8, steps=2, **own), quiet=True
    )
  request = sample.Request(what='directions', **common)
  found = images.read_about(sample.sample(request, quiet=True))
  assert found['space'] == 'w'


@pytest.mark.slow
def test_sound_by_the_name_of_its_class(tmp_path):
  workdir = runs.save_run(tmp_path / 'run', runs.TONES)
  common = dict(workdir=str(workdir), num_samples=2, num_devices=1)
  request = sample.Request(what='wav', classes=('238 Hz',), **common)
  folder = sample.sample(request, quiet=True)
  names = sorted(p.name for p in folder.iterdir())
  assert names == [f'seed0_index00000{i}_class1.wav' for i in range(2)]
  about = json.loads((folder.parent / f'{folder.name}.json').read_text())
  assert (about['sample_rate'], about['classes']) == (8000, [1])
  path = sample.sample(sample.Request(what='npz', **common), quiet=True)
  with np.load(path) as found:
    assert found['x'].shape == (2, 512, 1) and found['x'].dtype == np.float32
  grid = sample.sample(sample.Request(**common), quiet=True)
  assert (
    grid.with_suffix('.wav').exists() and images.read_about(grid)['step'] == 3
  )
  near = sample.Request(what='neighbors', **common)
  assert (
    images.read_about(sample.sample(near, quiet=True))['features'] == 'pixels'
  )
  with pytest.raises(ValueError, match='the samples are clips'):
    sample.sample(sample.Request(what='zip', **common), quiet=True)


def test_files_of_weights_name_no_real_examples(call, monkeypatch, sampler):
  """Their config has no data but the default, which are not theirs."""
  open_file = lambda request, path: (sampler, None)
  monkeypatch.setattr(sample_session, 'open_sampler', open_file)
  message = refused(call, 'neighbors', 'n.png', workdir='weights.safetensors')
  assert message.startswith('weights.safetensors is no run')
  call('grid', 'g.png', workdir='weights.safetensors')


def test_indices_in_batches():
  found = sample_indices.parse_indices('5-7, 1,10-11')
  assert (found.count, found.text) == (6, '5-7,1,10-11')
  parts = [part.tolist() for part in found.batches(4)]
  assert parts == [[5, 6, 7, 1], [10, 11]]
  np.testing.assert_array_equal(found.all(), [5, 6, 7, 1, 10, 11])
  assert [found.at(i) for i in range(6)] == [5, 6, 7, 1, 10, 11]
  many = sample_indices.first_indices(2**31)
  assert next(many.batches(2)).tolist() == [0, 1]


def test_classes_by_name_come_before_numbers():
  names = ('1', 'cat', 'dog')
  parse = lambda *given: sample_indices.parse_classes(given, 3, names)
  assert parse('1', 'dog', '2', '0-1') == (0, 2, 2, 0, 1)
  with pytest.raises(ValueError, match="Did you mean 'cat'.*from 0 to 2"):
    parse('cut')
  with pytest.raises(ValueError, match='has no classes'):
    sample_indices.parse_classes(['3'], 0, ())


def test_the_directory_of_a_run_may_not_name_files(tmp_path, workdir, call):
  """Names of classes from others appear in no path."""
  evil = tmp_path / 'evil'
  shutil.copytree(workdir, evil)
  config = json.loads((evil / 'config.json').read_text())
  config['class_names'] = ['../../x', *map(str, range(1, 10))]
  (evil / 'config.json').write_text(json.dumps(config))
  folder = call(
    'files', 'f', workdir=str(evil), classes=['../../x'], indices='0'
  )
  assert [p.name for p in folder.iterdir()] == ['seed0_index000000_class0.png']
  assert pathlib.Path(folder).parent == tmp_path
