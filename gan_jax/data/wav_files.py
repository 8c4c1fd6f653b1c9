"""Decodes wav files from anywhere.

Samples decide whether a file is good: chunks of metadata are not read, and a
file whose samples end early is broken. Samples are float32 in [-1, 1].
"""

import io
import struct

import numpy as np

WAVS_READ = 'PCM of 8, 16, 24 or 32 bits, or float of 32 or 64'
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_BITS = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64)}
_UNTIL_THE_END = 0xFFFFFFFF  # size of samples written to a pipe
_MAX_RATE, _MAX_CHANNELS = 768_000, 256
_LOUDEST = 16.0  # of float samples; larger ones are integers, not scaled


def decode_wav(content: bytes) -> tuple[np.ndarray, int]:
  """Decodes a wav file.

  Args:
    content: the whole file: PCM of 8, 16, 24 or 32 bits, or float of 32 or 64,
      also in the extensible format, of any number of channels.

  Returns:
    Samples `[n, channels]` float32, n >= 1, and the sample rate in Hz.
    Integers are in [-1, 1); floats are those of the file, which may be louder.

  Raises:
    ValueError: if it is no such file, its samples end early, there are none, or
      they are not finite or above 16.
  """
  import scipy.io.wavfile  # takes a while to import

  chunks = _find_chunks(content)
  for name in ('fmt ', 'data'):
    if name not in chunks:
      raise ValueError(f'it has no chunk {name.strip()!r}')
  header, samples = _checked_format(chunks['fmt ']), chunks['data']
  frame = header[4]
  samples = samples[: len(samples) // frame * frame]
  if not samples:
    raise ValueError('it has no samples')
  # Without the chunks of metadata, of which some readers stumble over a few.
  rate, x = scipy.io.wavfile.read(io.BytesIO(_minimal_wav(header, samples)))
  x = _as_float(x)
  return x.reshape(len(x), -1), rate


def _find_chunks(content: bytes) -> dict[str, bytes]:
  """Returns the format and the samples of a file, as far as it has them."""
  if not content:
    raise ValueError('it is empty')
  if content[:4] != b'RIFF' or content[8:12] != b'WAVE':
    raise ValueError(
      f"it begins with {content[:12]!r}; a wav file begins with b'RIFF', four "
      "bytes and b'WAVE'"
    )
  found: dict[str, bytes] = {}
  at = 12
  while at + 8 <= len(content) and len(found) < 2:
    kind, size = struct.unpack_from('<4sI', content, at)
    at += 8
    there = len(content) - at
    name = kind.decode('latin-1')
    if name in ('fmt ', 'data'):
      if name == 'data' and size == _UNTIL_THE_END:
        size = there
      if size > there:
        raise ValueError(
          f'its chunk {name.strip()!r} ends early: {there:,} of {size:,} bytes'
        )
      found[name] = content[at : at + size]
    at += size + size % 2  # chunks begin at even bytes
  return found


def _checked_format(chunk: bytes) -> tuple[int, int, int, int, int, int]:
  """Returns the checked fields of the chunk 'fmt '.

  Returns:
    Coding, channels, sample rate, bytes per second, bytes of a sample of all
    channels, bits of a sample.
  """
  if len(chunk) < 16:
    raise ValueError(f"its chunk 'fmt' has {len(chunk)} bytes; must be 16")
  coding, channels, rate, _, frame, bits = struct.unpack_from('<HHIIHH', chunk)
  if coding == _EXTENSIBLE and len(chunk) >= 40:
    (coding,) = struct.unpack_from('<H', chunk, 24)  # begins the GUID
  if not 1 <= channels <= _MAX_CHANNELS:
    raise ValueError(
      f'it has {channels} channels; must be from 1 to {_MAX_CHANNELS}'
    )
  if not 1 <= rate <= _MAX_RATE:
    raise ValueError(
      f'its sample rate is {rate:,} Hz; must be from 1 to {_MAX_RATE:,}'
    )
  width = 8 * frame // channels  # bits that a sample takes in the file
  if width not in _BITS.get(coding, ()) or frame % channels or not bits:
    raise ValueError(
      f'it has samples of coding {coding} and {bits} bits in {frame} bytes of '
      f'{channels} channels; must be {WAVS_READ}'
    )
  return coding, channels, rate, rate * frame, frame, width


def _minimal_wav(
  header: tuple[int, int, int, int, int, int], samples: bytes
) -> bytes:
  form = struct.pack('<HHIIHH', *header)
  pad = b'\0' * (len(samples) % 2)
  body = struct.pack('<4s4sI', b'WAVE', b'fmt ', len(form)) + form
  body += struct.pack('<4sI', b'data', len(samples)) + samples + pad
  return struct.pack('<4sI', b'RIFF', len(body)) + body


def _as_float(x: np.ndarray) -> np.ndarray:
  """Scales integers to [-1, 1); checks floats."""
  if x.dtype == np.uint8:
    return (x.astype(np.float32) - 128) / 128
  if x.dtype.kind == 'i':  # 24 bits are the upper ones of 32
    return (x / -float(np.iinfo(x.dtype).min)).astype(np.float32)
  wrong = int((~np.isfinite(x)).sum())
  if wrong:
    raise ValueError(f'{wrong:,} of its {x.size:,} samples are not finite')
  loudest = float(np.abs(x).max())
  if loudest > _LOUDEST:
    raise ValueError(
      f'its float samples are up to {loudest:.6g}; must be from -1 to 1 (those '
      'of 16-bit integers are divided by 32,768)'
    )
  return x.astype(np.float32)
