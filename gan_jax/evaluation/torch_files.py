"""Reads the tensors of a torch file, without torch and without its risks.

A `.pth` file is a pickle, and a pickle may run any code. This reader knows
tensors, ordered dicts and plain containers; whatever else a file wants to
import is refused.
"""

import collections
import io
import math
import pathlib
import pickle
import zipfile
from typing import Any, NamedTuple

import numpy as np

_TYPES = {
  'FloatStorage': np.float32,
  'DoubleStorage': np.float64,
  'HalfStorage': np.float16,
  'BFloat16Storage': np.uint16,  # widened to float32 at the end
  'LongStorage': np.int64,
  'IntStorage': np.int32,
  'ShortStorage': np.int16,
  'CharStorage': np.int8,
  'ByteStorage': np.uint8,
  'BoolStorage': np.bool_,
}
_MAGIC = 0x1950A86A20F9469CFC6C  # of files before torch 1.6


class _Type(NamedTuple):
  name: str

  @property
  def dtype(self):
    return np.dtype(_TYPES[self.name]).newbyteorder('<')


class _Tensor(NamedTuple):
  """What a file says of a tensor; its numbers are looked up afterwards."""

  type: _Type
  key: str
  offset: int
  size: tuple[int, ...]
  stride: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
  """Makes `_Tensor`s, containers and nothing else."""

  def find_class(self, module, name):
    if module == 'torch._utils' and name == '_rebuild_parameter':
      return lambda tensor, *_: tensor
    if module == 'torch._utils' and name.startswith('_rebuild_tensor'):
      return lambda storage, offset, size, stride, *_: _Tensor(
        *storage, offset, tuple(size), tuple(stride)
      )
    if module == 'torch' and name in _TYPES:
      return _Type(name)
    if (module, name) == ('collections', 'OrderedDict'):
      return collections.OrderedDict
    if module.startswith('__torch__'):
      raise ValueError(
        'a TorchScript program, not a state dict; for Inception, see '
        'python -m gan_jax.evaluation.convert --help'
      )
    raise ValueError(f'it wants to import {module}.{name}, which is refused')

  def persistent_load(self, pid):
    kind, storage_type, key, *rest = pid
    if kind != 'storage' or not isinstance(storage_type, _Type):
      raise ValueError(f'it holds a {kind!r}, not only tensors')
    if len(rest) == 3 and rest[2] is not None:
      raise ValueError('it holds a view of a storage, which is not supported')
    return storage_type, str(key)


def _array(tensor, storages):
  kind, key, offset, size, stride = tensor
  data = storages[key]
  if len(data) % kind.dtype.itemsize:
    raise ValueError(f'the storage {key} is cut off')
  values = np.frombuffer(data, kind.dtype)
  spans = [(n - 1) * step for n, step in zip(size, stride)]
  count = math.prod(size)
  if (
    len(size) != len(stride)
    or min((offset, *size, *stride)) < 0
    or count > len(values)
    or (count and offset + sum(spans) >= len(values))
  ):
    raise ValueError(
      f'a tensor of shape {size}, strides {stride} at {offset} is not within '
      f'its storage of {len(values)} numbers'
    )
  steps = [step * kind.dtype.itemsize for step in stride]
  view = np.lib.stride_tricks.as_strided(values[offset:], size, steps)
  if kind.name == 'BFloat16Storage':
    return (view.astype(np.uint32) << 16).view(np.float32)
  return view.copy()


def _read_zip(data):
  archive = zipfile.ZipFile(io.BytesIO(data))
  names = archive.namelist()

  def read(name):
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
      raise ValueError(f'its entry {name} is compressed')
    return archive.read(name)

  root = next((n[:-8] for n in names if n.endswith('data.pkl')), None)
  if root is None:
    raise ValueError('a zip file without data.pkl, not one of torch.save')
  if f'{root}byteorder' in names and read(f'{root}byteorder') != b'little':
    raise ValueError('its byte order is not little')
  found = _Unpickler(io.BytesIO(read(f'{root}data.pkl'))).load()
  prefix = f'{root}data/'
  storages = {
    name.removeprefix(prefix): read(name)
    for name in names
    if name.startswith(prefix)
  }
  return found, storages


def _read_legacy(data):
  stream = io.BytesIO(data)
  if _Unpickler(stream).load() != _MAGIC:
    raise ValueError('it does not begin like a torch file')
  _Unpickler(stream).load()  # version
  _Unpickler(stream).load()  # of the machine
  types = {}

  class Unpickler(_Unpickler):
    def persistent_load(self, pid):
      storage_type, key = super().persistent_load(pid)
      types[key] = storage_type
      return storage_type, key

  found = Unpickler(stream).load()
  storages = {}
  for key in _Unpickler(stream).load():
    count = int.from_bytes(stream.read(8), 'little')
    length = count * types[key].dtype.itemsize
    storages[key] = stream.read(length)
    if len(storages[key]) != length:
      raise ValueError('it is cut off')
  return found, storages


def _tensors(found: Any, storages) -> dict[str, np.ndarray]:
  if not isinstance(found, dict):
    raise ValueError(f'it holds a {type(found).__name__}, not a state dict')
  for name, value in found.items():
    if not isinstance(name, str) or not isinstance(value, _Tensor):
      raise ValueError(
        f'its entry {name!r} is a {type(value).__name__}, not a tensor: it is '
        'not a state dict'
      )
  return {name: _array(value, storages) for name, value in found.items()}


def read_state_dict(path: str | pathlib.Path) -> dict[str, np.ndarray]:
  """The tensors of a state dict in a torch file.

  Args:
    path: of a `.pth` or `.pt` file of any torch; never runs code of it.

  Returns:
    Name -> array, in the order of the file; bfloat16 becomes float32.

  Raises:
    OSError: where it cannot be opened.
    ValueError: naming the file, where it is no torch file, is damaged, or
      holds anything beside tensors.
  """
  data = pathlib.Path(path).read_bytes()
  read = _read_zip if data.startswith(b'PK') else _read_legacy
  try:
    return _tensors(*read(data))
  except Exception as error:  # a damaged pickle can raise anything
    raise ValueError(
      f'{path} is not a readable torch state dict: {error or repr(error)}'
    ) from error
