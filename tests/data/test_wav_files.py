"""Wav files of every kind, and files that are none."""

import io
import struct

import numpy as np
import pytest
import scipy.io.wavfile

from gan_jax.data import wav_files

TONE = np.sin(np.arange(50) / 3) * 0.9
GUID = bytes.fromhex('000000001000800000aa00389b71')  # of formats by number


def chunk(kind, content):
  return (
    kind
    + struct.pack('<I', len(content))
    + content
    + b'\0' * (len(content) % 2)
  )


def wav(x, bits, *, coding=1, rate=8000, extensible=False, extra=b''):
  """A wav of `[n]` or `[n, channels]` floats in [-1, 1], written by hand."""
  x = np.asarray(x, np.float64)
  x = x[:, None] if x.ndim == 1 else x
  channels, width = x.shape[1], bits // 8
  if coding == 3:
    data = x.astype(f'<f{width}').tobytes()
  elif bits == 8:
    data = np.round(x * 127 + 128).astype(np.uint8).tobytes()
  else:
    levels = np.round(x * (2 ** (bits - 1) - 1)).astype('<i4')
    data = levels.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
  form = struct.pack(
    '<HHIIHH',
    0xFFFE if extensible else coding,
    channels,
    rate,
    rate * channels * width,
    channels * width,
    bits,
  )
  if extensible:
    form += struct.pack('<HHIH', 22, bits, 0, coding) + GUID
  body = b'WAVE' + chunk(b'fmt ', form) + extra + chunk(b'data', data)
  return chunk(b'RIFF', body)


@pytest.mark.parametrize('extensible', [False, True])
@pytest.mark.parametrize(
  'bits, coding', [(8, 1), (16, 1), (24, 1), (32, 1), (32, 3), (64, 3)]
)
@pytest.mark.parametrize('channels', [1, 2])
def test_every_kind(bits, coding, channels, extensible):
  x = np.stack([TONE, -TONE / 2], axis=1)[:, :channels]
  content = wav(x, bits, coding=coding, rate=11025, extensible=extensible)
  found, rate = wav_files.decode_wav(content)
  assert rate == 11025 and found.dtype == np.float32
  exact = 1e-7 if coding == 3 else 1.5 / 2 ** min(bits - 1, 23)
  np.testing.assert_allclose(found, x, atol=exact)


def test_files_of_others_are_read():
  stream = io.BytesIO()
  scipy.io.wavfile.write(stream, 8000, (TONE * 32767).astype(np.int16))
  found, _ = wav_files.decode_wav(stream.getvalue())
  np.testing.assert_allclose(found[:, 0], TONE, atol=1e-4)


def test_metadata_are_not_read():
  extra = chunk(b'LIST', b'any') + chunk(b'bext', b'\xff' * 7)
  plain = wav_files.decode_wav(wav(TONE, 16))[0]
  content = wav(TONE, 16, extra=extra) + b'\0junk at the end'
  np.testing.assert_array_equal(wav_files.decode_wav(content)[0], plain)


def test_samples_written_to_a_pipe_last_to_the_end():
  whole = wav(TONE, 16)
  at = whole.index(b'data') + 4
  streamed = whole[:at] + b'\xff' * 4 + whole[at + 4 :]
  assert len(wav_files.decode_wav(streamed)[0]) == 50


def change(content, at, form, value):
  start = content.index(b'fmt ') + 8 + at
  size = struct.calcsize(form)
  return content[:start] + struct.pack(form, value) + content[start + size :]


NAN = wav(np.where(np.arange(50) == 3, np.nan, TONE), 32, coding=3)
GOOD = wav(TONE, 16)


@pytest.mark.parametrize(
  'content, message',
  [
    (b'', 'it is empty'),
    (b'no sound at all, but text', "begins with b'no sound at '"),
    (GOOD[:8], "begins with b'RIFF"),
    (GOOD[:-30], 'ends early: 70 of 100 bytes'),
    (GOOD[:30], "'fmt' ends early: 10 of 16 bytes"),
    (GOOD[:38], "no chunk 'data'"),
    (wav(TONE[:0], 16), 'it has no samples'),
    (NAN, '1 of its 50 samples are not finite'),
    (wav(TONE * 20000, 32, coding=3), r'up to 1799.*32,768'),
    (change(GOOD, 0, '<H', 2), 'coding 2 .*PCM of 8, 16, 24 or 32'),
    (change(GOOD, 2, '<H', 0), '0 channels; must be from 1 to 256'),
    (change(GOOD, 4, '<I', 0), 'rate is 0 Hz; must be from 1 to 768,000'),
    (change(GOOD, 12, '<H', 0), 'in 0 bytes of 1 channels'),
    (change(GOOD, 14, '<H', 0), '0 bits'),
  ],
)
def test_broken_files_say_why(content, message):
  with pytest.raises(ValueError, match=message):
    wav_files.decode_wav(content)


def test_a_wrong_number_of_bytes_per_second_does_not_matter():
  wrong = change(GOOD, 8, '<I', 5)
  np.testing.assert_array_equal(
    wav_files.decode_wav(wrong)[0], wav_files.decode_wav(GOOD)[0]
  )
