"""Foreign generators made into bundles: recognise the file, understand its graph, mend it, prove it, write it.

What a server or the command line needs is `models.imports.child`, which imports neither onnx nor torch: the work is
done in a process of its own with bounded memory, because the file is untrusted. All the rest runs in that process.
"""
