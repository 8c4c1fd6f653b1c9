"""The PyTorch side of dcgan_step.py: a DCGAN train step, timed on demand.

Not a program to run by hand: dcgan_step.py starts it, in an interpreter that
has PyTorch. It reads one request a line from its standard input and answers
each with a line of JSON on its standard output.

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
  """Answers requests until standard input ends."""
  sizes = json.loads(sys.argv[1])
  trainers = {
    name: dcgan_trainer_torch.Trainer(sizes, layout)
    for name, layout in LAYOUTS.items()
  }
  # Noise for images: what they show does not change the time.
  real = torch.rand(sizes['batch'], 3, sizes['size'], sizes['size']) * 2 - 1
  batches = {
    name: real.contiguous(memory_format=layout)
    for name, layout in LAYOUTS.items()
  }

  def work(layout: str, steps: int) -> None:
    for _ in range(steps):
      trainers[layout].step(batches[layout])

  about = {
    'version': torch.__version__,
    'parameters': trainers['contiguous'].players.parameters,
  }
  turns.serve(about, work)


if __name__ == '__main__':
  main()
