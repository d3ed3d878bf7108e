"""What SageMaker's managed scikit-learn 1.9-0 image has: its Python, its packages, and the commands on its PATH.

Source: docker/sklearn/1.9-0 of github.com/aws/deep-learning-containers (Dockerfile, pyproject.toml, uv.lock). The image
is amazonlinux:2023 with the packages that the Dockerfile installs, and without findutils: no `find` and no `xargs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PATTERN = "*/sagemaker-scikit-learn:1.9-0*"
SAMPLE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
"""The image in one region."""
ENVIRONMENT = ".venv-container"
"""The folder of a virtual environment with the image's packages, in the folder of the image map."""
PYTHON = "3.12"
PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "numpy": "2.5.1",
        "scipy": "1.18.0",
        "scikit-learn": "1.9.0",
        "pandas": "2.2.3",
        "pyarrow": "25.0.0",
        "joblib": "1.5.3",
        "narwhals": "2.24.0",
        "boto3": "1.43.46",
        "pip": "26.1.2",
        "setuptools": "80.10.2",
    }
)
_COREUTILS = (
    "[ arch b2sum base32 base64 basename basenc cat chcon chgrp chmod chown chroot cksum comm cp csplit cut "
    "date dd df dir dircolors dirname du echo env expand expr factor false fmt fold groups head hostid id "
    "install join link ln logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste "
    "pathchk pinky pr printenv printf ptx pwd readlink realpath rm rmdir runcon seq sha1sum sha224sum "
    "sha256sum sha384sum sha512sum shred shuf sleep sort split stat stdbuf stty sum sync tac tail tee test "
    "timeout touch tr true truncate tsort tty uname unexpand uniq unlink users vdir wc who whoami yes"
)
_BASE = "awk bash curl egrep fgrep gawk grep ldconfig ldd locale openssl sed sh"
_INSTALLED = "git gzip gunzip java jq nginx python3.12 tar unzip useradd wget which xz zcat"
COMMANDS = frozenset(f"{_COREUTILS} {_BASE} {_INSTALLED}".split())
"""The commands of the image beside those of its Python environment, which a job's environment has itself."""
