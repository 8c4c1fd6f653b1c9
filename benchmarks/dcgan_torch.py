"""The PyTorch side of dcgan_step.py: a DCGAN train step, timed on demand.

Started by dcgan_step.py in a Python that has PyTorch, not by hand. It reads one
request per line from standard input, and answers each with one line of JSON on
standard output.

  {"layout": "channels_last", "steps": 5}  ->  {"wall": 1.9, "cpu": 3.2}
"""

import json
import sys

import dcgan_trainer_torch
import torch
import turns

LAYOUTS = {
  'contiguous': torch.contiguous_format,
  'channels_last': torch.channels_last,
}


def main() -> None:
  """Serves requests until standard input ends."""
  sizes = json.loads(sys.argv[1])
  trainers = {
    name: dcgan_trainer_torch.Trainer(sizes, layout)
    for name, layout in LAYOUTS.items()
  }
  # Noise instead of images: their content does not change the time.
  real = torch.rand(sizes['batch'], 3, sizes['size'], sizes['size']) * 2 - 1
  batches = {
    name: real.contiguous(memory_format=layout)
    for name, layout in LAYOUTS.items()
  }

  def work(layout: str, steps: int) -> None:
    for _ in range(steps):
      trainers[layout].step(batches[layout])

  info = {
    'version': torch.__version__,
    'parameters': trainers['contiguous'].players.parameters,
  }
  turns.serve(info, work)


if __name__ == '__main__':
  main()
