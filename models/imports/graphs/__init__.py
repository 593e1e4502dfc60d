"""Foreign ONNX graphs: open them safely, tell their inputs apart, mend them, free their batch, dress them as a level."""
