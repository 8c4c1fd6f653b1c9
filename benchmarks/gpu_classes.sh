#!/usr/bin/env bash
# Measures the residual networks on one GPU, in under ten minutes: the speed of a
# step in bfloat16 beside PyTorch, then half-width SNGAN on CIFAR-10 for some
# minutes, with samples to score by FID.
#
#   benchmarks/gpu_classes.sh OUT TORCH_PYTHON [cifar10.npz]
#   TRIAL=1 benchmarks/gpu_classes.sh OUT TORCH_PYTHON    tiny, on a CPU
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?where to} torch=${2:-} images=${3:-}
python=${PYTHON:-python3}
mkdir -p "$out"
step=(--dtype=bfloat16 --steps=50 --rounds=4)
train=(--minutes=4 --marks=4 ${images:+--images="$images"})
if [ -n "${TRIAL:-}" ]; then
  step=(--dtype=bfloat16 --steps=1 --rounds=2 --short)
  train=(--random --minutes=0.05 --marks=2 --width=2 --batch=8 --steps=2
    --d_steps=1 --samples=40)
fi
"$python" benchmarks/residual_step.py --torch_python="$torch" "${step[@]}" \
  | tee "$out/step.md"
"$python" benchmarks/fid_minutes.py --out="$out" "${train[@]}" \
  | tee "$out/minutes.txt"
