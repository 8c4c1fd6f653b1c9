"""The PyTorch side of gpu.py: DCGAN at 32 or 64 pixels, timed on demand.

Started by gpu.py in a Python that has PyTorch, not by hand. Uses channels_last,
automatic mixed precision for bfloat16, TF32 for float32 (as XLA does) and fused
Adam; eager, or with both losses compiled.
"""

import json
import sys

import dcgan_trainer_torch
import torch
import turns


def draw_images(examples: int, size: int, device: str) -> torch.Tensor:
  """Draws random bytes `[examples, 3, size, size]` on the device."""
  shape = (examples, 3, size, size)
  images = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
  return images.contiguous(memory_format=torch.channels_last)


def from_bytes(images: torch.Tensor) -> torch.Tensor:
  """Converts 0 .. 255 to floats in [-1, 1]."""
  return images.float() / 127.5 - 1


def main() -> None:
  """Serves requests until standard input ends."""
  sizes, dtype = json.loads(sys.argv[1]), sys.argv[2]
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  torch.backends.cudnn.benchmark = True
  torch.set_float32_matmul_precision('high')
  wait = torch.cuda.synchronize if device == 'cuda' else lambda: None
  images = draw_images(sizes['examples'], sizes['size'], device)
  trainers = {}

  def work(compiled: bool, steps: int) -> None:
    for _ in range(steps):
      indices = torch.randint(len(images), (sizes['batch'],), device=device)
      trainers[compiled].step(images[indices])
    wait()

  for compiled in (False, True):
    trainers[compiled] = dcgan_trainer_torch.Trainer(
      sizes,
      torch.channels_last,
      device=device,
      dtype=dtype,
      compiled=compiled,
      prepare=from_bytes,
    )
    work(compiled, steps=1)  # compiles
  info = {
    'version': torch.__version__,
    'device': device,
    'parameters': trainers[False].players.parameters,
  }
  turns.serve(info, work)


if __name__ == '__main__':
  main()
