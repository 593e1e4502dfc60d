"""Tests that need a CUDA device; `--device cpu` of scripts/gpu_evidence.sh runs them on the CPU."""
