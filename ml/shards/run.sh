#!/bin/bash
# Runs ml.shards.count in SageMaker's scikit-learn image, on each instance of a job: `bash run.sh ARGS`. The folder of this
# file holds the package `ml` and requirements.txt; the script writes nothing there. pip installs what the image lacks, by digest, so the job has network access.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
python3 -m ml.steps.requirements_check "$here/requirements.txt" ||
  python3 -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
    -r "$here/requirements.txt" ||
  { echo "pip could not install the packages missing from the image: see ml/shards/requirements.txt" >&2; exit 1; }
exec python3 -m ml.shards.count "$@"
