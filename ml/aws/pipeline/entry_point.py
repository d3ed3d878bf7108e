"""The entry point of every job: verifies and unpacks the uploaded code, then runs it.

The words of the entry point are part of the pipeline's definition and not of the code, so that no file of the code runs
before the digest of all of it is verified. They need `python3` and `bash` of the image and no other command:
SageMaker's scikit-learn 1.9-0 image is amazonlinux:2023 without findutils.
"""

from __future__ import annotations

MAX_WORD = 256
"""Characters that SageMaker allows in one word of ContainerEntrypoint and ContainerArguments; none is a line break."""

# The arguments after "--": the folder with the archive, the archive's URI, the file that SageMaker reads a failure
# reason from, then those of run.sh. No byte of an archive is parsed before its digest is verified. It is unpacked
# elsewhere, because SageMaker may mount its folder read-only, and at the same path on every machine of a cluster, whose
# processes import it by that path. A folder that is there already is refused: it may hold more than the archive.
_PROGRAM = """\
import hashlib, io, os, sys, tarfile, tempfile
folder, uri, reason, *arguments = sys.argv[sys.argv.index("--") + 1:]
name = uri.rpartition("/")[2]
def refuse(message):
    os.makedirs(os.path.dirname(reason), exist_ok=True)
    with open(reason, "w") as file:
        print(message, file=file)
    sys.exit(message)
try:
    with open(os.path.join(folder, name), "rb") as file:
        content = file.read()
except OSError as error:
    refuse(f"{uri} cannot be read: {error}")
found = hashlib.sha256(content).hexdigest()
if f"{found}.tar" != name:
    refuse(f"{uri} was replaced: its sha256 is {found}")
tree = os.path.join(tempfile.gettempdir(), found)
try:
    os.mkdir(tree)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as packed:
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(tree)
except (OSError, tarfile.TarError) as error:
    refuse(f"{uri} cannot be unpacked: {error}")
os.chdir(tree)
os.execvp("bash", ["bash", "run.sh", *arguments])
"""
# -I: neither the code's folder nor PYTHONPATH is on the path of the program that verifies.
_LAUNCHER = r"""import sys; exec("\n".join(sys.argv[1:sys.argv.index("--")]))"""
VERIFIED = ("python3", "-I", "-c", _LAUNCHER, *_PROGRAM.splitlines(), "--")
"""The ContainerEntrypoint. The ContainerArguments are the code's folder, its URI, the file for a failure reason, the
step and the step's arguments."""
