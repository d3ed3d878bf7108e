"""The entry point of every job: unpacks and verifies the uploaded code, then runs it.

The words of the entry point are part of the pipeline's definition and not of the code, so that no file of the code runs
before the digest of all of it is verified. They need `python3` and `bash` of the image and no other command:
SageMaker's scikit-learn 1.9-0 image is amazonlinux:2023 without findutils.
"""

from __future__ import annotations

MAX_WORD = 256
"""Characters that SageMaker allows in one word of ContainerEntrypoint and ContainerArguments; none is a line break."""

# The arguments after "--": the folder with the archive, the archive's URI, the file that SageMaker reads a failure
# reason from, then those of run.sh. What is no regular file is listed with a word in place of its digest, so the tree's
# digest differs. The tree is unpacked elsewhere, because SageMaker may mount the folder read-only; at the same path on
# every machine of a cluster, whose processes import it by that path. Files that were there before change the digest.
_PROGRAM = """\
import hashlib, os, stat, sys, tarfile, tempfile
folder, uri, reason, *arguments = sys.argv[sys.argv.index("--") + 1:]
archive = uri.rpartition("/")[2]
def refuse(message):
    os.makedirs(os.path.dirname(reason), exist_ok=True)
    with open(reason, "w") as file:
        print(message, file=file)
    sys.exit(message)
def fail(error):
    raise error
def digest(path):
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return "not-a-regular-file"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
tree = os.path.join(tempfile.gettempdir(), archive.removesuffix(".tar") or "code")
try:
    with tarfile.open(os.path.join(folder, archive)) as packed:
        packed.extractall(tree, filter="data")
except (OSError, tarfile.TarError) as error:
    refuse(f"{uri} cannot be unpacked: {error}")
os.chdir(tree)
entries = [(top, folders + files) for top, folders, files in os.walk(".", onerror=fail)]
paths = [os.path.join(top, name) for top, names in entries for name in names]
paths = [path for path in paths if os.path.islink(path) or not os.path.isdir(path)]
lines = [f"{digest(path)}  ".encode() + os.fsencode(path) for path in sorted(paths, key=os.fsencode)]
found = hashlib.sha256(b"".join(line + bytes([10]) for line in lines)).hexdigest()
if found != os.path.basename(tree):
    refuse(f"{uri} was replaced: the sha256 of its files is {found}")
os.execvp("bash", ["bash", "run.sh", *arguments])
"""
# -I: neither the code's folder nor PYTHONPATH is on the path of the program that verifies.
_LAUNCHER = r"""import sys; exec("\n".join(sys.argv[1:sys.argv.index("--")]))"""
VERIFIED = ("python3", "-I", "-c", _LAUNCHER, *_PROGRAM.splitlines(), "--")
"""The ContainerEntrypoint. The ContainerArguments are the code's folder, its URI, the file for a failure reason, the
step and the step's arguments."""
