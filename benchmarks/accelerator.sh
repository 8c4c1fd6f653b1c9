#!/usr/bin/env bash
# Runs on an accelerator what fits into some minutes, in order of value: first
# the tables of speeds, then the rows of benchmarks/results.py.
#
#   benchmarks/accelerator.sh MINUTES OUT
#   TRIAL=1 benchmarks/accelerator.sh 30 OUT     everything tiny, also on a CPU
#
# Environment, all of it optional; what lacks its data is left out:
#   PYTHON        Python with gan_jax's requirements (python3)
#   TORCH_PYTHON  Python with PyTorch, for the tables
#   DATA_DIR      directory of TFDS datasets
#   CIFAR10       cifar10.npz of results.py --pack, or the start of the names of
#                 its parts (split --bytes=45M cifar10.npz cifar10.npz.)
#   AUDIO         directory or zip of spoken digits
#   ROWS          rows to run, in place of those below
#   NO_TABLES     if not empty, leaves out the tables of speeds
#
# OUT gets tables/, a directory for each row, and what failed in failed.txt.
# Started again with the same OUT, finished tables are kept and rows go on. Rows
# with images leave samples, which this scores where Inception's weights are:
#
#   python benchmarks/results.py --collect OUT --data_dir=DIR
set -uo pipefail
minutes=${1:?minutes} out=$(realpath -m "${2:?directory for the results}")
python=${PYTHON:-python3} trial=${TRIAL:-}
absolute() { [ -n "$1" ] && realpath -m "$1"; }
data_dir=$(absolute "${DATA_DIR:-}") audio=$(absolute "${AUDIO:-}")
cifar10=$(absolute "${CIFAR10:-}")
cd "$(dirname "$0")/.."
end=$((SECONDS + minutes * 60))
mkdir -p "$out/tables"

left() { echo $((end - SECONDS)); }

# Runs a command for at most the time that is left, and notes a failure.
attempt() {
  local name=$1
  shift
  echo "== $name, $(left) seconds left" >&2
  timeout --signal=INT --kill-after=60 "$(left)" "$@" && return
  echo "$name: exit status $?" | tee -a "$out/failed.txt" >&2
  return 1
}

# table SECONDS NAME OPTIONS...: runs a benchmark if there is time for it.
table() {
  local needed=$1 name=$2
  shift 2
  [ -n "${NO_TABLES:-}" ] || [ -e "$out/tables/$name.md" ] && return
  [ "$(left)" -lt "$needed" ] && echo "no time for $name" && return
  attempt "$name" "$python" "benchmarks/$name.py" \
    --torch_python="${TORCH_PYTHON:-}" "$@" > "$out/tables/$name.part" &&
    mv "$out/tables/$name.part" "$out/tables/$name.md"
}

# row MINUTES NAME: runs a row for at most so many minutes of those left.
row() {
  local most=$1 name=$2
  local rest=$((($(left) - 60) / 60))
  [ "$rest" -lt 1 ] && echo "no time for $name" && return
  attempt "$name" "$python" benchmarks/results.py "$name" --out="$out" \
    --minutes="$((rest < most ? rest : most))" --samples="$samples" \
    "${data[@]}"
}

# ---- Data.
samples=10000
data=(--data_dir="$data_dir" --audio="$audio")
if [ -n "$cifar10" ] && [ ! -f "$cifar10" ]; then
  cat "$cifar10"* > "$out/cifar10.npz" && cifar10=$out/cifar10.npz
fi
if [ -n "$trial" ]; then
  samples=20 cifar10=$out/noise.npz
  "$python" benchmarks/results.py --pack="$cifar10" --noise
  data+=(--trial)
fi
data+=(--npz="$cifar10")

# ---- Speeds.
if [ -n "$trial" ]; then
  table 1 gpu --allow_cpu --width=8 --batch=8 --steps=2 --rounds=2 --sizes 32
  table 1 residual_step --short --steps=1 --rounds=2
else
  table 180 gpu
  table 180 residual_step --dtype=bfloat16 --steps=50 --rounds=4
  table 240 modern_step --dtype=bfloat16 --steps=50 --rounds=4
fi

# ---- Rows: seconds first, then what has most to say for a minute.
default="d2l d2l_stable"
[ -n "${cifar10}$data_dir" ] && default+=" sngan_minutes"
default+=" ring grid"
[ -n "$data_dir" ] && default+=" stacked_mnist_rpgan mnist fashion_mnist"
[ -n "${cifar10}$data_dir" ] && default+=" r3gan_small stylegan2_small"
[ -n "$data_dir" ] && default+=" stacked_mnist"
[ -n "$audio" ] && default+=" fsdd"
[ -n "${cifar10}$data_dir" ] && default+=" cifar10 sngan sngan_conditional"
[ -n "$trial" ] && default="d2l ring cifar10"
for name in ${ROWS:-$default}; do
  case $name in
    *_minutes) row 10 "$name" ;;
    *_small) row 30 "$name" ;;
    *) row 100000 "$name" ;;
  esac
done
echo "done; $(left) seconds left"
