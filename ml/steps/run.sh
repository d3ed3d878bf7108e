#!/bin/bash
# Runs one step inside a SageMaker job: `bash run.sh prepare ARGS`. The folder of this file holds the package `ml`
# and requirements.txt; nothing is written to it, because SageMaker may mount it read-only.
#
# Where the image lacks a pinned package, pip fetches it, held to its digest. A job without a way to an index needs an
# image that has them, or PIP_INDEX_URL / PIP_FIND_LINKS in that image's environment for a mirror that it can reach.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
python3 -m ml.steps.requirements_check "$here/requirements.txt" ||
  python3 -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
    -r "$here/requirements.txt" ||
  { echo "pip could not install what the image lacks: see requirements.txt, and run.sh on networks without an index" >&2; exit 1; }
exec python3 -m "ml.steps.$1" "${@:2}"
