"""Training speed beside plain PyTorch loops: `python -m bench.training FOLDER_OR_ZIP`."""
