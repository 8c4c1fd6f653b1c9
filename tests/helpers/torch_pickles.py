"""Snapshots as the authors' training writes them, made without torch.

Stand-ins of the classes and functions that a pickle names are in sys.modules
while it is written, so that the bytes are those of Python's pickler.
"""

import collections
import pickle
import sys
import types
from unittest import mock

import numpy as np

from tests.evaluation.test_inception_weights import legacy, opcodes

SOURCE = "open('ran', 'w')  # the code of the class, which is not run\n"


def _function(module, name):
  def called(*args):
    raise AssertionError(f'{module}.{name} was called')

  called.__module__, called.__qualname__ = module, name
  return called


LOAD = _function('torch.storage', '_load_from_bytes')
TENSOR = _function('torch._utils', '_rebuild_tensor_v2')
PARAMETER = _function('torch._utils', '_rebuild_parameter')
PERSISTENT = _function('torch_utils.persistence', '_reconstruct_persistent_obj')


class Reduced:
  """An object that is pickled as a call."""

  def __init__(self, function, *args):
    self.call = function, args

  def __reduce__(self):
    return self.call


class Module:
  """A torch.nn.Module, pickled by its class and attributes."""

  __module__, __qualname__ = 'training.networks', 'Module'


class EasyDict(dict):
  __module__, __qualname__ = 'dnnlib.util', 'EasyDict'


def storage(array, key):
  """The file of one storage that torch.save writes within a pickle."""
  described = b'(' + opcodes('storage') + b'ctorch\nFloatStorage\n'
  described += opcodes(key) + opcodes('cpu') + opcodes(array.size) + b'NtQ'
  content = {key: (array.tobytes('A'), array.size)}
  return legacy(b'\x80\x02' + described + b'.', content)


def tensor(array, *, parameter=True):
  # All have the same key: these are unique in a file of their own only.
  loaded = Reduced(LOAD, storage(array, '94'))
  strides = tuple(step // array.itemsize for step in array.strides)
  none = collections.OrderedDict()
  found = Reduced(TENSOR, loaded, 0, array.shape, strides, False, none)
  return Reduced(PARAMETER, found, False, none) if parameter else found


def module(state, *, persistent):
  """A tree of modules of a state dict, with what else modules have."""
  attributes = {
    'training': False,
    '_non_persistent_buffers_set': {1},
    '_parameters': collections.OrderedDict(bias=None),
    '_buffers': collections.OrderedDict(),
    '_modules': {},
    'weight_gain': np.float64(0.5),
    '_init_kwargs': EasyDict(channels=3),
  }
  inner = {}
  for name, array in state.items():
    head, _, rest = name.partition('.')
    if rest:
      inner.setdefault(head, {})[rest] = array
    elif name in ('w_avg', 'noise_const', 'resample_filter', 'Kernel'):
      attributes['_buffers'][name] = tensor(array, parameter=False)
    else:
      attributes['_parameters'][name] = tensor(array)
  for name, below in inner.items():
    attributes['_modules'][name] = module(below, persistent=persistent)
  if persistent:
    about = {'type': 'class', 'version': 6, 'module_src': SOURCE}
    meta = about | {'class_name': 'Module', 'state': attributes}
    return Reduced(PERSISTENT, meta)
  found = Module()
  found.__dict__.update(attributes)
  return found


def snapshot(states, *, persistent=True, protocol=4):
  """The bytes of a snapshot: 'G', 'D', 'G_ema' -> state dict.

  Args:
    states: the state dicts.
    persistent: whether modules are pickled with their source, as StyleGAN2's;
      R3GAN's are not.
    protocol: of the pickle.
  """
  content = {'training_set_kwargs': EasyDict(path='x'), 'cur_nimg': 5}
  for name, state in states.items():
    content[name] = module(state, persistent=persistent)
  content['augment_pipe'] = None
  fakes = {}
  for found in (LOAD, TENSOR, PARAMETER, PERSISTENT, Module, EasyDict):
    fake = fakes.setdefault(
      found.__module__, types.ModuleType(found.__module__)
    )
    setattr(fake, found.__qualname__, found)
  for name in list(fakes):  # packages above them
    while '.' in name:
      name = name.rpartition('.')[0]
      fakes.setdefault(name, types.ModuleType(name))
  with mock.patch.dict(sys.modules, fakes):
    return pickle.dumps(content, protocol)
