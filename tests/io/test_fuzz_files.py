"""Files changed at random: the right result, or an error that names the file.

Nothing else is raised, and no memory is taken because a header asks for it.
"""

import functools
import io
import json
import pathlib
import shutil
import tempfile
import tracemalloc
import zipfile

import chex
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from gan_jax import data as data_lib
from gan_jax.data import folder, image_files, images
from gan_jax.evaluation import feature_cache
from gan_jax.evaluation.networks import inception_weights, mnist_classifier
from gan_jax.io import checkpoint, jsonl, torch_checkpoint
from tests.evaluation import test_inception_weights as test_weights
from tests.helpers import torch_pickles
from tests.helpers.fuzzing import fuzz

pytestmark = pytest.mark.slow

EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**32 - 1, 2**63 - 1)
DIGITS = b'0123456789'


def _flip(draw, data, at):
  data[at] ^= 1 << draw(st.integers(0, 7))


def _cut(draw, data, at):
  del data[at:]


def _remove(draw, data, at):
  del data[at : at + draw(st.integers(1, 64))]


def _insert(draw, data, at):
  data[at:at] = draw(st.binary(min_size=1, max_size=16))


def _double(draw, data, at):
  data[at:at] = data[at : at + draw(st.integers(1, 256))]


def _number(draw, data, at):
  size = draw(st.sampled_from([1, 2, 4, 8]))
  order = draw(st.sampled_from(['little', 'big']))
  value = draw(st.sampled_from(EXTREMES)) % 256**size
  part = value.to_bytes(size, order)
  data[at : at + size] = part[: len(data) - at]


def _digits(draw, data, at):
  """Another number in text, longer or as long."""
  places = [i for i, byte in enumerate(data) if byte in DIGITS]
  if places:
    at = places[at % len(places)]
    new = draw(st.sampled_from([b'0', b'9', b'-1', b'9' * 12, b'9' * 30]))
    data[at : at + draw(st.integers(0, 1)) * len(new) or at + 1] = new


def _swap(draw, data, at):
  other = draw(st.integers(0, len(data) - 1))
  data[at], data[other] = data[other], data[at]


CHANGES = (_flip, _cut, _remove, _insert, _double, _number, _digits, _swap)


@st.composite
def changed(draw, content: bytes) -> bytes:
  """A file's content after one to three changes, most near its ends."""
  data = bytearray(content)
  for _ in range(draw(st.integers(1, 3))):
    if not data:
      break
    last = len(data) - 1
    near = st.integers(0, min(last, 200))
    at = draw(
      st.one_of(near, near.map(lambda i, n=last: n - i), st.integers(0, last))
    )
    draw(st.sampled_from(CHANGES))(draw, data, at)
  return bytes(data)


MEGABYTES = 64


def outcome(name, content, read):
  """What reading a file gives; None for an error that names it."""
  with tempfile.TemporaryDirectory() as directory:
    path = pathlib.Path(directory, name)
    path.write_bytes(content)
    tracemalloc.start()
    try:
      return read(path)
    except (ValueError, OSError) as error:
      assert name in str(error) and len(str(error)) < 2000, error
      return None
    finally:
      took = tracemalloc.get_traced_memory()[1]
      tracemalloc.stop()
      assert took < MEGABYTES * 2**20


# ---- Pictures.


def picture(kind, mode='RGB', **options):
  pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 3), np.uint8)
  stream = io.BytesIO()
  Image.fromarray(pixels).convert(mode).save(stream, kind, **options)
  return stream.getvalue()


def with_exif():
  exif = Image.Exif()
  exif[0x0112] = 6
  return {'exif': exif.tobytes()}


PICTURES = {
  'a.png': picture('png'),
  'palette.png': picture('png', 'P', transparency=1),
  'wide.png': picture('png', 'I;16'),
  'exif.png': picture('png', 'RGBA', **with_exif()),
  'a.jpg': picture('jpeg', **with_exif()),
  'progressive.jpg': picture('jpeg', progressive=True),
  'a.webp': picture('webp'),
  'lossless.webp': picture('webp', 'RGBA', lossless=True, **with_exif()),
  'a.bmp': picture('bmp'),
  'palette.bmp': picture('bmp', 'P'),
  'a.gif': picture('gif'),
  'a.tif': picture('tiff'),
  'packed.tif': picture('tiff', compression='tiff_lzw', **with_exif()),
}
# What is remarked on images, which a change may bring about.
REMARKS = 'ignore:.*(transparent pixels|16-bit images|several frames)'


@pytest.mark.parametrize('name', PICTURES)
@fuzz(40)
@given(draw=st.data())
def test_pictures(name, draw):
  content = draw.draw(changed(PICTURES[name]))
  convert = functools.partial(images.crop_and_resize, size=8, channels=3)
  load = lambda path: image_files.load_image(path, convert, draft=('RGB', 8))
  found = outcome(name, content, load)
  if found is not None:
    assert found.shape == (8, 8, 3) and found.dtype == np.uint8


def zip_of_pictures(kind):
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w', kind) as archive:
    names = [f'00000/img{i:08d}.png' for i in range(3)]
    for name in names:
      archive.writestr(name, PICTURES['a.png'])
    labels = [[name, i] for i, name in enumerate(names)]
    archive.writestr('dataset.json', json.dumps({'labels': labels}))
  return stream.getvalue()


ZIPS = {
  'stored.zip': zip_of_pictures(zipfile.ZIP_STORED),
  'deflated.zip': zip_of_pictures(zipfile.ZIP_DEFLATED),
}


@pytest.mark.filterwarnings('ignore::UserWarning')
@pytest.mark.parametrize('name', ZIPS)
@fuzz(80)
@given(draw=st.data())
def test_zips_of_pictures(name, draw):
  content = draw.draw(changed(ZIPS[name]))
  read = lambda path: folder.folder('train', path=str(path), size=8, threads=1)
  found = outcome(name, content, read)
  if found is not None:
    assert found.x.shape[1:] == (8, 8, 3) and found.x.dtype == np.uint8


@pytest.mark.parametrize('name', PICTURES)
@pytest.mark.filterwarnings(REMARKS)
@fuzz(10)
@given(draw=st.data())
def test_folders_of_pictures(name, draw):
  content = draw.draw(changed(PICTURES[name]))

  def read(path):
    (path.parent / f'good_{name}').write_bytes(PICTURES[name])
    source = data_lib.open_samples(path.parent)
    return source, source[np.arange(2)]['x']

  found = outcome(name, content, read)
  if found is not None:
    source, x = found
    assert x.shape == (2, *source.shape) and x.dtype == np.uint8


# ---- Arrays.

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), np.uint8)
POINTS = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
LABELS = np.arange(5)


def array_file(save, *arrays, **named):
  stream = io.BytesIO()
  save(stream, *arrays, **named)
  return stream.getvalue()


ARRAYS = {
  'a.npz': array_file(np.savez, x=IMAGES, label=LABELS),
  'small.npz': array_file(np.savez_compressed, x=IMAGES, label=LABELS),
}


@pytest.mark.parametrize('name', ARRAYS)
@fuzz(60)
@given(draw=st.data())
def test_npz_is_whole_or_refused(name, draw):
  content = draw.draw(changed(ARRAYS[name]))
  found = outcome(name, content, data_lib.open_samples)
  if found is not None:
    np.testing.assert_array_equal(found.x, IMAGES)
    np.testing.assert_array_equal(found.label, LABELS)


@pytest.mark.parametrize('array', [IMAGES, POINTS], ids=['images', 'points'])
@fuzz(60)
@given(draw=st.data())
def test_npy(array, draw):
  content = draw.draw(changed(array_file(np.save, array)))
  found = outcome('a.npy', content, data_lib.open_samples)
  if found is not None:
    assert found.x.size and found.x.nbytes <= 8 * len(content)
    assert found.x.dtype == (np.uint8 if found.x.ndim == 4 else np.float32)


# ---- Weights.

STATE = test_weights.torch_state()


@pytest.fixture(scope='module')
def small():
  """A network of two layers in place of 94."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(inception_weights, 'LAYERS', test_weights.LAYERS)
    patch.setattr(inception_weights, 'FEATURES', 5)
    patch.setattr(inception_weights, 'CLASSES', 7)
    yield


def network():
  return inception_weights.from_torch(STATE, 'state')


def weight_file(suffix):
  with tempfile.TemporaryDirectory() as directory:
    path = pathlib.Path(directory, f'a{suffix}')
    inception_weights.save_weights(path, network())
    return path.read_bytes()


@pytest.mark.parametrize('suffix', ['.safetensors', '.npz'])
@fuzz(60)
@given(draw=st.data())
def test_weights_of_the_network(small, suffix, draw):
  name = f'a{suffix}'
  found = outcome(
    name,
    draw.draw(changed(weight_file(suffix))),
    inception_weights.load_weights,
  )
  if found is None:
    return
  inception_weights.check_params(found.params, name)
  assert not found.is_reference_inception
  if suffix == '.npz':  # has checksums
    trunk = inception_weights.content_hash(
      inception_weights.without_head(network())
    )
    assert (
      inception_weights.content_hash(
        inception_weights.without_head(found.params)
      )
      == trunk
    )


@fuzz(60)
@given(draw=st.data())
def test_torch_files_with_checksums(draw):
  content = draw.draw(changed(test_weights.torch_file(STATE)))
  found = outcome('a.pth', content, torch_checkpoint.read_state_dict)
  if found is not None:
    chex.assert_trees_all_equal(found, STATE)


@fuzz(60)
@given(draw=st.data())
def test_torch_files_without(draw):
  content = test_weights.torch_file(STATE, test_weights.legacy)
  found = outcome(
    'a.pth', draw.draw(changed(content)), torch_checkpoint.read_state_dict
  )
  if found is not None:
    assert all(isinstance(x, np.ndarray) for x in found.values())
    assert sum(x.nbytes for x in found.values()) < 8 * len(content)


@fuzz(150)
@given(draw=st.data())
def test_pickles_in_torch_files(draw):
  """Their archive is in order: the reader of opcodes alone is tried."""
  body = test_weights.pickled(
    [
      (name, test_weights.tensor('0', 16, 0, (4, 4), (4, 1)))
      for name in ('a', 'b', 'c')
    ]
  )
  content = test_weights.zipped(draw.draw(changed(body)), {'0': bytes(64)})
  for read in (
    torch_checkpoint.read_state_dict,
    torch_checkpoint.read_torchscript,
  ):
    found = outcome('a.pth', content, read)
    if found is not None:
      assert all(x.nbytes <= 128 for x in found.values())


@fuzz(100)
@given(draw=st.data())
def test_pickles_of_modules(draw):
  content = torch_pickles.snapshot({'G': {'a.weight': np.ones((4, 4), 'f4')}})
  content = draw.draw(changed(content))
  found = outcome('a.pkl', content, torch_checkpoint.read_pickled_modules)
  if found is not None:
    arrays = [x for state in found.values() for x in state.values()]
    assert sum(x.nbytes for x in arrays) < 8 * len(content)


@fuzz(60)
@given(body=st.binary(max_size=60))
def test_any_bytes_for_a_pickle(body):
  outcome('a.pth', b'\x80\x02' + body + b'.', torch_checkpoint.read_state_dict)
  content = test_weights.zipped(b'\x80\x02' + body + b'.', {'0': bytes(64)})
  outcome('a.pth', content, torch_checkpoint.read_state_dict)


@fuzz(10)
@given(draw=st.data())
def test_digit_classifier(draw):
  content = draw.draw(changed(mnist_classifier.WEIGHTS.read_bytes()))
  found = outcome('a.npz', content, mnist_classifier.load_digit_classifier)
  if found is not None:
    expected, _ = mnist_classifier.load_digit_classifier()
    chex.assert_trees_all_equal(found[0], expected)


@fuzz(40)
@given(draw=st.data())
def test_stored_features(draw):
  key, arrays = {'kind': 'some', 'count': 3}, {'mean': POINTS}
  with tempfile.TemporaryDirectory() as directory:
    store = feature_cache.FeatureCache(directory)
    store.put(key, arrays)
    paths = sorted(pathlib.Path(directory).iterdir())
    assert [path.suffix for path in paths] == ['.json', '.npz']
    path = draw.draw(st.sampled_from(paths))
    path.write_bytes(draw.draw(changed(path.read_bytes())))
    found = store.get(key)
    if found is not None:
      chex.assert_trees_all_equal(found, arrays)


# ---- Lines of a run.


@fuzz(60)
@given(draw=st.data())
def test_lines_of_json(draw):
  lines = [{'step': i, 'loss': i / 7, 'of': {'a': [1, 2]}} for i in range(5)]
  content = ''.join(json.dumps(line) + '\n' for line in lines).encode()
  found = outcome('m.jsonl', draw.draw(changed(content)), jsonl.read_jsonl)
  for line in found or ():
    assert isinstance(line, dict) and type(line['step']) is int


# ---- Checkpoints.

TREE = {
  'w': jnp.arange(512.0),
  'half': jnp.ones(3, jnp.bfloat16),
  'n': jnp.int32(3),
}


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  directory = tmp_path_factory.mktemp('checkpoints')
  with checkpoint.RunCheckpointer(directory) as checkpoints:
    checkpoints.save(1, TREE)
  return directory


def _another_file(draw, path, others):
  path.write_bytes(draw(changed(path.read_bytes() or b'0')))


def _no_file(draw, path, others):
  path.unlink()


def _swapped(draw, path, others):
  other = draw(st.sampled_from(others))
  content = path.read_bytes()
  path.write_bytes(other.read_bytes())
  other.write_bytes(content)


def _a_directory(draw, path, others):
  path.unlink()
  path.mkdir()


def _a_link(draw, path, others):
  other = draw(st.sampled_from([*others, pathlib.Path('/dev/null')]))
  assume(other != path)
  path.unlink()
  path.symlink_to(other)


def _more(draw, path, others):
  with path.open('ab') as file:
    file.write(draw(st.binary(min_size=1, max_size=8)))


DAMAGES = (_another_file, _no_file, _swapped, _a_directory, _a_link, _more)


@fuzz(15)
@given(draw=st.data())
def test_checkpoints(saved, draw):
  with tempfile.TemporaryDirectory() as directory:
    copy = pathlib.Path(directory, 'copy')
    shutil.copytree(saved, copy)
    paths = sorted(p for p in (copy / '1').rglob('*') if p.is_file())
    path = draw.draw(st.sampled_from(paths))
    draw.draw(st.sampled_from(DAMAGES))(draw.draw, path, paths)
    try:
      with checkpoint.RunCheckpointer(copy, read_only=True) as checkpoints:
        chex.assert_trees_all_equal(checkpoints.restore(TREE, 1), TREE)
    except checkpoint.CorruptCheckpointError as error:
      assert str(copy) in str(error)
