"""What opens a stranger's checkpoint, inside the sandbox and nowhere else.

Theory of operation. The folder is mounted into the sandbox and run there as a program of its own
(`loader_inside.py`); it needs the standard library and torch, and nothing of the rest of the
grader. A checkpoint passes these doors in order, each of which may refuse it:

1. `container`: the first bytes and the zip directory say what kind of file it is. TorchScript,
   torch.export and torch.package archives, and files that are no checkpoint at all, stop here.
2. `torch.load(weights_only=True)`; where that refuses a class, `restricted_pickle`, which runs
   nothing: every class is an inert stand-in, and only tensors and structure come out.
3. `find_weights`: wrappers and prefixes are taken off until a flat name → tensor mapping is left.
4. `dense_tensors`: only dense CPU tensors of known types that fit into the bytes that they claim.
5. `write_safetensors`: the weights in the order of the checkpoint, and `reading.json` beside them.

What comes out is forged for all that the grader knows: `grader.stages.load_checkpoint` validates
every byte of both files again.
"""
