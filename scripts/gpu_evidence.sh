#!/usr/bin/env bash
# All that a machine with one GPU can show of this repository, in at most nine minutes; results are small text files.
#
#   scripts/gpu_evidence.sh [--device cuda|cpu] [--out FOLDER] [--data PACKED.zip] [--recipe NAME] [--budget SECONDS] [-- OVERRIDES…]
#
# Runs the tests marked gpu, bench/gpu.py on a bundle, and, given data (scripts/pack_data.py), a training recipe for the time that
# is left. What is missing is asked of the package registry first; without one it goes on with what is installed and says so.
# --device cpu is a dry run of the same steps: its figures are of the CPU and say so.
set -uo pipefail
cd "$(dirname "$0")/.."
device=cuda out=gpu-evidence data="" recipe=faces64-2016 budget=540 bundle=models/exports/faces64 largest=1024 block=0.5 only=test patience=1
while [ $# -gt 0 ]; do
  case $1 in
    --device) device=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --data) data=$2; shift 2 ;;
    --recipe) recipe=$2; shift 2 ;;
    --budget) budget=$2; shift 2 ;;
    --bundle) bundle=$2; shift 2 ;;
    --) shift; break ;;
    *) data=$1; shift ;;
  esac
done
[ "$device" = cpu ] && { largest=4; block=0.02; only="fashion32 or half or tensorrt" patience=3; export CUDA_VISIBLE_DEVICES=; }
mkdir -p "$out"
export PYTHONPATH=$PWD GANYMEDE_GPU_DEVICE=$device
began=$SECONDS
left() { echo $((budget - (SECONDS - began))); }

# step NAME LIMIT COMMAND…: output to NAME.txt, a line in summary.txt. INT lets a training write its checkpoint.
step() {
  local name=$1 limit=$(($2 * patience)) code=0 start=$SECONDS; shift 2 # a dry run may share its machine
  [ "$(left)" -lt "$limit" ] && limit=$(left)
  if [ "$limit" -lt 5 ]; then echo "$name: no time left" | tee -a "$out/summary.txt"; return; fi
  timeout -s INT -k 15 "$limit" "$@" > "$out/$name.txt" 2>&1 || code=$?
  echo "$name: exit $code after $((SECONDS - start)) s" | tee -a "$out/summary.txt"
}

: > "$out/summary.txt"
python=${PYTHON:-python3}
needed="numpy torch onnx onnxruntime safetensors typer pydantic pytest PIL"
if ! $python -c "import importlib.util as u,sys;sys.exit(any(u.find_spec(m) is None for m in '$needed'.split()))"; then
  $python -m venv --system-site-packages .gpu-venv && python=$PWD/.gpu-venv/bin/python
  extra=gpu; [ "$device" = cpu ] && extra=cpu
  step install 240 "$python" -m pip install -q -c constraints.txt torch==2.13.0 -e ".[$extra,train]" pytest pytest-asyncio pytest-timeout
fi
step machine 60 bash -c "nvidia-smi || echo 'no nvidia-smi'; $python -c 'import torch, onnxruntime as o; print(torch.__version__, torch.cuda.is_available(), o.__version__, o.get_available_providers())'"
step tests 120 "$python" -m pytest tests/gpu -m gpu -rs -k "$only"
step bench 200 "$python" -m bench.gpu "$bundle" --largest "$largest" --seconds "$block"
if [ -n "$data" ]; then
  step train "$(($(left) - 40))" "$python" -m training.cli train "$recipe" "data.path=$data" run.device="$device" --run "$out/run" "$@"
  [ -d "$out/run" ] && step export 40 "$python" -m training.cli export "$out/run" --out "$out/bundles" --name "$recipe-gpu"
fi
echo "all: $((SECONDS - began)) s of $budget; device $device" | tee -a "$out/summary.txt"
! grep -vE "^(train|all): |exit 0" "$out/summary.txt" | grep -q exit # a training that is stopped by the clock is no failure
