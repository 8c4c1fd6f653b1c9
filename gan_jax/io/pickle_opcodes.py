"""Interprets the pickle in a torch file without unpickling it.

A pickle is a program: unpickling it may import and call anything. This module
interprets only the few opcodes that `torch.save` writes for a dict of tensors,
in a loop that knows numbers, text, tuples, lists, dicts and descriptions of
tensors. It imports nothing, calls nothing that a file names and sets no
attribute. Any other opcode or name is rejected.

Pickled objects, such as the networks in snapshots of NVIDIA's projects, become
a `Module`, a dict of their attributes, if the caller asks for it. Then a file
may name any class or function: it stays a name, and what is made with it is a
`Module` that holds nothing but the attributes in the file.
"""

import itertools
import pickletools
from typing import Any, BinaryIO, Callable, NamedTuple

# Storage types and the numpy types of their numbers.
TYPES = {
  'FloatStorage': '<f4',
  'DoubleStorage': '<f8',
  'HalfStorage': '<f2',
  'BFloat16Storage': '<u2',  # the upper half of a float32
  'LongStorage': '<i8',
  'IntStorage': '<i4',
  'ShortStorage': '<i2',
  'CharStorage': '<i1',
  'ByteStorage': '<u1',
  'BoolStorage': '?',
}
# Names that a file may import -> their kind here.
_NAMES = {
  'torch._utils _rebuild_tensor': 'tensor',
  'torch._utils _rebuild_tensor_v2': 'tensor',
  'torch._utils _rebuild_tensor_v3': 'tensor',
  'torch._utils _rebuild_parameter': 'parameter',
  'torch.jit._pickle build_boollist': 'list',
  'torch.jit._pickle build_doublelist': 'list',
  'torch.jit._pickle build_intlist': 'list',
  'torch.jit._pickle build_tensorlist': 'list',
  'collections OrderedDict': 'dict',
}
# Further names in a pickle of objects; all others are those of classes.
_OBJECT_NAMES = {
  'torch.storage _load_from_bytes': 'storage',
  'torch_utils.persistence _reconstruct_persistent_obj': 'persistent',
}
_IGNORED = ('PROTO', 'FRAME')
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_BYTES = ('SHORT_BINBYTES', 'BINBYTES', 'BINBYTES8')
_VALUES = (
  *('INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4'),
  *('FLOAT', 'BINFLOAT', 'STRING', 'BINSTRING', 'SHORT_BINSTRING'),
  *('UNICODE', 'BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8'),
)
# Bounds, so that a small file cannot take long to interpret.
_MAX_OPCODES = 10**6  # a tensor takes about 40
_MAX_LETTERS = 1000  # length of an imported name
_MAX_BITS = 128  # size of an integer


class StorageType(NamedTuple):
  """Type of a storage, by its name in `TYPES`."""

  name: str


class Module(dict):
  """A TorchScript module or a pickled object: its attributes by name."""


class Tensor(NamedTuple):
  """Description of a tensor in a file; its numbers are read afterwards."""

  type: StorageType
  key: str
  offset: int
  size: tuple[int, ...]
  stride: tuple[int, ...]


class _Function(NamedTuple):
  """A function that a file may call, by its name in `_NAMES`."""

  name: str


class Storage(NamedTuple):
  """Numbers of one type, of which tensors are parts."""

  type: StorageType
  key: str


def _named(
  module: Any, name: Any, with_objects: bool
) -> StorageType | _Function:
  """Returns the stand-in of a name that a file imports."""
  if len(module) + len(name) > _MAX_LETTERS:
    raise ValueError(f'it has a name of more than {_MAX_LETTERS} characters')
  if module == 'torch' and name in TYPES:
    return StorageType(name)
  if (found := _NAMES.get(f'{module} {name}')) is not None:
    return _Function(found)
  if f'{module}.'.startswith('__torch__.'):
    return _Function('module')
  if with_objects:
    return _Function(_OBJECT_NAMES.get(f'{module} {name}', 'class'))
  raise ValueError(
    f'it imports {f"{module}.{name}"[:80]}, which is not allowed'
  )


def _made(
  function: Any,
  arguments: Any,
  load_storage: Callable[[bytes], Storage] | None,
) -> Any:
  """Returns the stand-in of the result of a call in a file."""
  match function, arguments:
    case _Function('dict'), ():
      return {}
    case _Function('module'), ():
      return Module()
    case _Function('dict'), (list(pairs),) if {2}.issuperset(map(len, pairs)):
      return _filled({}, itertools.chain.from_iterable(pairs))
    case _Function('list'), (list(values),):
      return values
    case _Function('parameter'), (Tensor() as tensor, *_):
      return tensor
    case (
      _Function('tensor'),
      (Storage() as storage, int(offset), tuple(size), tuple(stride), *_),
    ):
      return Tensor(*storage, offset, size, stride)
    case _Function('storage'), (bytes(content),):
      return load_storage(content)
    case _Function('persistent'), ({'state': dict(attributes)},):
      return Module(attributes)
    case _Function('class'), _:
      return Module()
  raise ValueError('it has a call that torch.save does not write')


def _filled(target: Any, items: Any) -> dict:
  """Adds alternating keys and values to a dict and returns it."""
  items = list(items)
  if not isinstance(target, dict) or len(items) % 2:
    raise ValueError('it adds items to something other than a dict')
  for key, value in zip(items[::2], items[1::2]):
    if not isinstance(key, (str, int)):
      raise ValueError(f'it has a {type(key).__name__} as a name')
    target[key] = value
  return target


def _storage(described: Any, types: dict[str, StorageType]) -> Storage:
  """Returns the stand-in of a storage and records its type."""
  match described:
    case ('storage', StorageType() as kind, str() | int() as key, _, _) | (
      ('storage', StorageType() as kind, str() | int() as key, _, _, None)
    ):
      if types.setdefault(str(key), kind) != kind:
        raise ValueError(f'its storage {key!r:.80} has two types')
      return Storage(kind, str(key))
  raise ValueError('it refers to something other than a storage of numbers')


class _Stack:
  """Stack of values of a pickle, with its marks and memo."""

  def __init__(self):
    self._values, self._marks, self.memo = [], [], {}

  def mark(self) -> None:
    self._marks.append(len(self._values))

  def push(self, value: Any) -> None:
    self._values.append(value)

  def pop(self) -> Any:
    self._above(1)
    return self._values.pop()

  def top(self) -> Any:
    self._above(1)
    return self._values[-1]

  def take(self, count: int | None = None) -> list:
    """Pops `count` values; None for all since the last mark."""
    if count is None:
      start = self._marks.pop()
    else:
      self._above(count)
      start = len(self._values) - count
    found = self._values[start:]
    del self._values[start:]
    return found

  def _above(self, count: int) -> None:
    if len(self._values) - (self._marks or [0])[-1] < count:
      raise ValueError('it pops more values than it has pushed')


def interpret(
  stream: BinaryIO,
  types: dict[str, StorageType] | None = None,
  load_storage: Callable[[bytes], Storage] | None = None,
) -> Any:
  """Returns the value described by the pickle at the position of a stream.

  Args:
    stream: file, positioned at the pickle; left positioned after it.
    types: key -> type of the storages that the pickle refers to; updated in
      place.
    load_storage: for a pickle of objects, function from the content of a torch
      file with one storage, which such a pickle has in place of references, to
      the storage. None refuses objects.

  Returns:
    Numbers, text, tuples, lists, dicts, `Tensor`s and, with load_storage, bytes
    and `Module`s; nothing else.

  Raises:
    ValueError: if the pickle contains, names or calls anything else.
  """
  stack, types = _Stack(), {} if types is None else types
  operations = pickletools.genops(stream)
  for opcode, value, _ in itertools.islice(operations, _MAX_OPCODES):
    name = opcode.name
    if name == 'STOP':
      return stack.pop()
    if name in _CONSTANTS:
      stack.push(_CONSTANTS[name])
    elif name in _VALUES or (name in _BYTES and load_storage):
      stack.push(_checked(value))
    elif name == 'MARK':
      stack.mark()
    elif name in ('PUT', 'BINPUT', 'LONG_BINPUT'):
      stack.memo[int(value)] = stack.top()
    elif name == 'MEMOIZE':
      stack.memo[len(stack.memo)] = stack.top()
    elif name in ('GET', 'BINGET', 'LONG_BINGET'):
      stack.push(stack.memo[int(value)])
    elif name == 'GLOBAL':
      stack.push(_named(*value.split(' ', 1), load_storage is not None))
    elif name == 'BINPERSID':
      stack.push(_storage(stack.pop(), types))
    elif load_storage and _contain_object(stack, name, load_storage):
      pass
    elif name not in _IGNORED:
      _contain(stack, name, load_storage)
  raise ValueError(f'it has more than {_MAX_OPCODES:,} operations')


def _checked(value: Any) -> Any:
  if isinstance(value, int) and value.bit_length() > _MAX_BITS:
    raise ValueError(f'it has an integer of more than {_MAX_BITS} bits')
  return value


def _contain_object(
  stack: _Stack, name: str, load_storage: Callable[[bytes], Storage]
) -> bool:
  """Interprets an opcode of sets and objects; returns whether it is one.

  What is added to a set, and a state that is not a dict, is left out.
  """
  match name:
    case 'EMPTY_SET':
      stack.push(Module())
    case 'FROZENSET':
      stack.take()
      stack.push(Module())
    case 'ADDITEMS':
      stack.take()
    case 'NEWOBJ_EX':
      stack.push(_made(*stack.take(3)[:2], load_storage))
    case 'BUILD' if type(stack.top()) is not dict:
      stack.pop()
    case _:
      return False
  return True


def _contain(
  stack: _Stack,
  name: str,
  load_storage: Callable[[bytes], Storage] | None,
) -> None:
  """Interprets an opcode of containers or calls."""
  match name:
    case 'EMPTY_TUPLE' | 'EMPTY_LIST' | 'EMPTY_DICT':
      stack.push({'TUPLE': tuple, 'LIST': list, 'DICT': dict}[name[6:]]())
    case 'TUPLE' | 'TUPLE1' | 'TUPLE2' | 'TUPLE3':
      stack.push(tuple(stack.take(int(name[5:]) if name[5:] else None)))
    case 'LIST':
      stack.push(stack.take())
    case 'DICT':
      stack.push(_filled({}, stack.take()))
    case 'APPEND' | 'APPENDS':
      items = stack.take(1 if name == 'APPEND' else None)
      if type(stack.top()) is not list:
        raise ValueError('it adds items to something other than a list')
      stack.top().extend(items)
    case 'SETITEM' | 'SETITEMS':
      items = stack.take(2 if name == 'SETITEM' else None)
      _filled(stack.top(), items)
    case 'STACK_GLOBAL':
      stack.push(_named(*stack.take(2), load_storage is not None))
    case 'REDUCE' | 'NEWOBJ':
      stack.push(_made(*stack.take(2), load_storage))
    case 'BUILD':
      attributes = stack.pop()
      if isinstance(stack.top(), Module) and type(attributes) is dict:
        stack.top().update(attributes)
      else:  # attributes of a state dict such as versions, ignored
        _filled(stack.top(), ())
    case _:
      raise ValueError(f'it has the operation {name}, which is not allowed')
