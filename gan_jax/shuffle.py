"""Shuffling: the examples of batch t as a pure function of (seed, t).

Every epoch is a new permutation of the data, computed by a small keyed cipher
(an unbalanced Feistel network with cycle walking) rather than stored. Any
process computes any batch directly, so resuming means starting at batch t.
Numpy on the host gives the same bits as JAX on the device.
"""

import functools

import jax
import numpy as np

_ROUNDS = 8
_CACHED_SIZE = 2**20  # epochs up to this size are cached, 4 MiB each


def _mix(xp, x):
  """Scrambles uint32 (the finalizer of MurmurHash3, public domain)."""
  x = (x ^ (x >> xp.uint32(16))) * xp.uint32(0x85EBCA6B)
  x = (x ^ (x >> xp.uint32(13))) * xp.uint32(0xC2B2AE35)
  return x ^ (x >> xp.uint32(16))


def reseed(seed: int, rollbacks: int) -> int:
  """Returns the shuffling seed after rollbacks of a run, below 2^32."""
  return (seed + rollbacks * 0x9E3779B9) % 2**32


def permuted_index(seed: int, epoch, positions, size: int, xp=np):
  """Maps positions by the epoch's permutation of range(size).

  Args:
    seed: non-negative integer below 2^32, may be traced under JAX.
    epoch: index of the permutation, integer, may be traced under JAX.
    positions: positions in the epoch, `[n]`, integers in [0, size).
    size: number of examples, at least 1 and at most 2^31.
    xp: numpy or jax.numpy.

  Returns:
    Indices, `[n]`, int32 in [0, size); positions 0..size-1 give each once.

  Raises:
    ValueError: if size is out of range.
  """
  if not 1 <= size <= 2**31:
    raise ValueError(f'size={size}: must be between 1 and 2^31')
  bits = max(2, (size - 1).bit_length())
  low_bits = bits // 2
  low_mask = xp.uint32((1 << low_bits) - 1)
  high_mask = xp.uint32((1 << (bits - low_bits)) - 1)
  # Arrays throughout: numpy warns when scalars wrap, which is intended here.
  if isinstance(seed, int):
    seed = np.uint32(seed % 2**32)
  seed = xp.asarray(seed, dtype=xp.uint32).reshape(1)
  if isinstance(epoch, int):  # of any size
    epoch = np.uint32(epoch % 2**32)
  epoch = xp.asarray(epoch).reshape(1).astype(xp.uint32)
  key = _mix(xp, seed ^ _mix(xp, epoch + xp.uint32(0x9E3779B9)))
  keys = [
    _mix(xp, key + xp.asarray([r * 0x9E3779B9 % 2**32], dtype=xp.uint32))
    for r in range(_ROUNDS)
  ]

  def cipher(x):
    low, high = x & low_mask, x >> xp.uint32(low_bits)
    for r in range(0, _ROUNDS, 2):
      low = low ^ (_mix(xp, high ^ keys[r]) & low_mask)
      high = high ^ (_mix(xp, low ^ keys[r + 1]) & high_mask)
    return (high << xp.uint32(low_bits)) | low

  # The cipher permutes [0, 2^bits): repeat it until back inside [0, size).
  bound = xp.uint32(size)
  x = cipher(xp.asarray(positions).astype(xp.uint32))
  step = lambda x: xp.where(x >= bound, cipher(x), x)
  if xp is np:
    while (x >= bound).any():
      x = step(x)
  else:
    x = jax.lax.while_loop(lambda x: (x >= bound).any(), step, x)
  return x.astype(xp.int32)


@functools.lru_cache(maxsize=2)
def _epoch(seed: int, epoch: int, size: int) -> np.ndarray:
  whole = permuted_index(seed, epoch, np.arange(size), size)
  whole.flags.writeable = False
  return whole


def batch_indices(seed: int, step, size: int, batch: int, xp=np):
  """Returns the indices of the examples of one batch.

  An epoch is size // batch batches without repetition. The remaining examples,
  different ones each epoch, are left out.

  Args:
    seed: non-negative integer below 2^32, may be traced under JAX.
    step: index of the batch since the start, may be traced under JAX.
    size: number of examples.
    batch: number of examples per batch.
    xp: numpy or jax.numpy; both give the same bits.

  Returns:
    Indices, `[batch]`, int32 in [0, size), no two equal.

  Raises:
    ValueError: if there are fewer examples than one batch, or an argument is
      not an integer.
  """
  given = {'seed': seed, 'step': step, 'size': size, 'batch': batch}
  for name, value in given.items():
    if isinstance(value, float):
      raise ValueError(f'{name}={value}: must be an integer')
  if not 1 <= batch <= size:
    raise ValueError(
      f'batch={batch}: must be between 1 and the {size} examples'
    )
  per_epoch = size // batch
  start = (step % per_epoch) * batch
  if xp is np and size <= _CACHED_SIZE:
    return _epoch(seed, int(step // per_epoch), size)[start : start + batch]
  positions = start + xp.arange(batch, dtype=xp.int32)
  return permuted_index(seed, step // per_epoch, positions, size, xp)
