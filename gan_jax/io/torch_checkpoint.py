"""Reads the tensors of a torch file without torch and without unpickling it.

A `.pth` or `.pkl` file is a pickle, and unpickling it may run any code. Nothing
is unpickled here: see pickle_opcodes.
"""

import contextlib
import io
import math
import pathlib
import zipfile
from typing import Any

import numpy as np

from gan_jax.io import files, pickle_opcodes

_MAGIC = 0x1950A86A20F9469CFC6C  # files written before torch 1.6
# Bounds, far above any state dict of the networks that metrics need.
_MAX_BYTES = 2**30  # size of a file
_MAX_SNAPSHOT_BYTES = 2**33  # of three networks and two optimizers
_MAX_COPIES = 4  # bytes of all tensors, relative to the size of the file
_MAX_LETTERS = 1000  # length of the path of a tensor


def _array(tensor, storages):
  kind, key, offset, size, stride = tensor
  if key not in storages:
    raise ValueError(f'its storage {key!r:.80} is missing')
  dtype, data = np.dtype(pickle_opcodes.TYPES[kind.name]), storages[key]
  if len(data) % dtype.itemsize:
    raise ValueError(f'its storage {key!r:.80} is truncated')
  values = np.frombuffer(data, dtype)
  if (
    len(size) != len(stride)
    or len(size) > 32
    or not all(
      isinstance(n, int) and 0 <= n < 2**48 for n in (offset, *size, *stride)
    )
    or (count := math.prod(size)) > len(values)
    or (count and _last(offset, size, stride) >= len(values))
  ):
    raise ValueError(
      f'its tensor of {len(size)} dimensions does not fit in its storage of '
      f'{len(values)} numbers'
    )
  steps = [step * dtype.itemsize for step in stride]
  return np.lib.stride_tricks.as_strided(
    values[offset:], size, steps, writeable=False
  )


def _last(offset, size, stride):
  return offset + sum((n - 1) * step for n, step in zip(size, stride))


def _read_zip(data, load_storage=None):
  archive = zipfile.ZipFile(io.BytesIO(data))
  names = archive.namelist()
  if len(set(names)) < len(names):
    raise ValueError('it has duplicate entries')
  stored = [
    e for e in archive.infolist() if e.compress_type == zipfile.ZIP_STORED
  ]
  if sum(entry.file_size for entry in stored) > len(data):
    raise ValueError('its entries are larger than the file')

  def read(name):
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
      raise ValueError(f'its entry {name} is compressed')
    return archive.read(name)

  root = next((n[:-8] for n in names if n.endswith('data.pkl')), None)
  if root is None:
    raise ValueError('a zip file without data.pkl, not written by torch.save')
  if f'{root}byteorder' in names and read(f'{root}byteorder') != b'little':
    raise ValueError('its byte order is not little-endian')
  types: dict[str, pickle_opcodes.StorageType] = {}
  stream = io.BytesIO(read(f'{root}data.pkl'))
  found = pickle_opcodes.interpret(stream, types, load_storage)
  keys = [key for key in types if f'{root}data/{key}' in names]
  return found, {key: read(f'{root}data/{key}') for key in keys}


def _read_legacy(data):
  stream = io.BytesIO(data)
  if pickle_opcodes.interpret(stream) != _MAGIC:
    raise ValueError('it does not begin with the magic number of torch')
  pickle_opcodes.interpret(stream)  # protocol version
  pickle_opcodes.interpret(stream)  # facts about the machine
  types: dict[str, pickle_opcodes.StorageType] = {}
  found = pickle_opcodes.interpret(stream, types)
  storages = {}
  for key in pickle_opcodes.interpret(stream):
    count = int.from_bytes(stream.read(8), 'little')
    length = count * np.dtype(pickle_opcodes.TYPES[types[key].name]).itemsize
    storages[key] = stream.read(length)
    if len(storages[key]) != length:
      raise ValueError('it is truncated')
  return found, storages


def _tensors(found: Any, storages, most: int) -> dict[str, np.ndarray]:
  if isinstance(found, pickle_opcodes.Module):
    raise ValueError(
      'a TorchScript program, not a state dict; for Inception, see '
      'gan-jax convert-weights --help'
    )
  if not isinstance(found, dict):
    raise ValueError(f'it contains a {type(found).__name__}, not a state dict')
  for name, value in found.items():
    if not isinstance(name, str) or not isinstance(
      value, pickle_opcodes.Tensor
    ):
      raise ValueError(
        f'its entry {name!r:.80} is a {type(value).__name__}, not a tensor: it '
        'is not a state dict'
      )
  return _arrays(found, storages, most)


def _arrays(found: dict, storages, most: int) -> dict:
  """Returns the arrays of described tensors, by the same keys."""
  views = {name: _array(value, storages) for name, value in found.items()}
  if sum(view.nbytes for view in views.values()) > most:
    raise ValueError(f'its tensors have more than {most:,} bytes in total')
  return {
    name: _numbers(view, found[name].type.name) for name, view in views.items()
  }


def _numbers(view, kind):
  if kind == 'BFloat16Storage':
    return (view.astype(np.uint32) << 16).view(np.float32)
  return view.copy()


def _flat(module: Any) -> dict[str, pickle_opcodes.Tensor]:
  """Returns the tensors in a tree of modules by their path."""
  if not isinstance(module, pickle_opcodes.Module):
    raise ValueError(f'it contains a {type(module).__name__}, not a module')
  found, seen, waiting = {}, set(), [('', module)]
  while waiting:
    name, value = waiting.pop()
    if len(name) > _MAX_LETTERS:
      raise ValueError(f'a name has more than {_MAX_LETTERS} characters')
    if isinstance(value, pickle_opcodes.Tensor):
      found[name] = value
    elif isinstance(value, pickle_opcodes.Module) and id(value) not in seen:
      seen.add(id(value))
      inner = [(f'{name}.{k}'.lstrip('.'), v) for k, v in value.items()]
      waiting += reversed(inner)
  return found


def _module_states(found: Any) -> dict[str, dict[str, pickle_opcodes.Tensor]]:
  """Returns the tensors of the modules in a dict of them."""
  if isinstance(found, pickle_opcodes.Module):
    found = {'': found}
  if not isinstance(found, dict):
    raise ValueError(f'it contains a {type(found).__name__}, not modules')
  states = {str(k): _module_state(v) for k, v in found.items()}
  states = {name: state for name, state in states.items() if state}
  if not states:
    raise ValueError('it has no module with tensors')
  return states


def _module_state(module: Any) -> dict[str, pickle_opcodes.Tensor]:
  """Returns the tensors of a pickled torch.nn.Module, as its state_dict."""
  found, seen, waiting = {}, set(), [('', module)]
  while waiting:
    prefix, value = waiting.pop()
    if len(prefix) > _MAX_LETTERS:
      raise ValueError(f'a name has more than {_MAX_LETTERS} characters')
    if not isinstance(value, pickle_opcodes.Module) or id(value) in seen:
      continue
    seen.add(id(value))
    own, inner = {}, value.get('_modules')
    for part in (value.get('_parameters'), value.get('_buffers')):
      own |= part if isinstance(part, dict) else {}
    for name, tensor in own.items():
      if isinstance(tensor, pickle_opcodes.Tensor):
        found[f'{prefix}{name}'] = tensor
    if isinstance(inner, dict):
      below = [(f'{prefix}{name}.', x) for name, x in inner.items()]
      waiting += reversed(below)
  return found


def read_pickled_modules(
  path: str | pathlib.Path,
) -> dict[str, dict[str, np.ndarray]]:
  """Reads the tensors of pickled modules, not their code.

  Args:
    path: path of a file written by pickle.dump or torch.save from a dict of
      torch.nn.Modules, such as the `network-snapshot-*.pkl` of NVIDIA's
      projects, whose modules have their source with them; of at most 8 GiB.

  Returns:
    Key of the module in the dict -> name, as in its state dict -> array.
    Entries that are not modules are left out. A file of one module has the key
    ''.

  Raises:
    OSError: if the file cannot be opened.
    ValueError: if the file is damaged or has no module with tensors; the
      message names it.
  """
  data = files.read_bounded(pathlib.Path(path), most=_MAX_SNAPSHOT_BYTES)
  storages: dict[str, bytes] = {}

  def load_storage(content):
    storage, inner = _read_legacy(content)
    if not isinstance(storage, pickle_opcodes.Storage):
      raise ValueError('it has a storage with something else in it')
    # The keys in these files are unique in each of them only.
    key = f'embedded {len(storages)}'
    storages[key] = inner[storage.key]
    return storage._replace(key=key)

  with _named_errors(path, 'pickle of torch modules'):
    if data.startswith(b'PK'):
      found, stored = _read_zip(data, load_storage)
      storages |= stored
    else:
      stream = io.BytesIO(data)
      found = pickle_opcodes.interpret(stream, load_storage=load_storage)
    states = _module_states(found)
    flat = {
      (k, name): x for k, state in states.items() for name, x in state.items()
    }
    arrays = _arrays(flat, storages, _MAX_COPIES * len(data))
  result: dict[str, dict[str, np.ndarray]] = {key: {} for key in states}
  for (key, name), array in arrays.items():
    result[key][name] = array
  return result


def read_torchscript(path: str | pathlib.Path) -> dict[str, np.ndarray]:
  """Reads the tensors of the modules in a TorchScript file, not its code.

  Args:
    path: path of a file written by torch.jit.save, of at most 1 GiB.

  Returns:
    Dotted path of modules and name -> array, in the order of the file.

  Raises:
    OSError: if the file cannot be opened.
    ValueError: if the file is invalid; the message gives its name and the
      reason.
  """
  return _read(path, 'TorchScript file', _flat)


def read_state_dict(path: str | pathlib.Path) -> dict[str, np.ndarray]:
  """Reads the tensors of a state dict in a torch file.

  Args:
    path: path of a `.pth` or `.pt` file of any torch version, of at most 1 GiB.

  Returns:
    Name -> array, in the order of the file; bfloat16 becomes float32.

  Raises:
    OSError: if the file cannot be opened.
    ValueError: if the file is not a torch file, is damaged, or contains
      anything other than tensors; the message names it.
  """
  return _read(path, 'torch state dict', lambda found: found)


def _read(path, what, tensors_of):
  data = files.read_bounded(pathlib.Path(path), most=_MAX_BYTES)
  with _named_errors(path, what):
    read = _read_zip if data.startswith(b'PK') else _read_legacy
    found, storages = read(data)
    return _tensors(tensors_of(found), storages, _MAX_COPIES * len(data))


@contextlib.contextmanager
def _named_errors(path, what):
  """Turns any error into a ValueError that names the file."""
  try:
    yield
  except Exception as error:  # damaged files can raise any type
    reason = files.short_message(error)
    raise ValueError(f'{path} is not a readable {what}: {reason}') from error
