#!/bin/bash
# Runs one step inside a SageMaker job: `bash run.sh prepare ARGS`. The folder of this file holds the package `ml`
# and requirements.txt; the script writes nothing there.
#
# In the scikit-learn image only the Train step needs packages that the image lacks. If one is missing, pip installs it
# and verifies its digest. A Train job without access to an index needs an image with these packages, or PIP_INDEX_URL /
# PIP_FIND_LINKS in the image's environment for a reachable mirror. Prepare and Evaluate run there with network isolation
# and install nothing.
#
# `bash run.sh spark prepare ARGS` runs a step of ml/spark in SageMaker's Spark image, on every machine of a cluster:
# each installs what the image lacks, and smspark-submit starts the step on the first one. So these jobs, Prepare with
# the raw transactions among them, have network access.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
if [[ "$1" == train ]]; then
  python3 -m ml.steps.requirements_check "$here/requirements.txt" ||
    python3 -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
      -r "$here/requirements.txt" ||
    { echo "pip could not install the packages missing from the image: see requirements.txt, and run.sh on networks without an index" >&2; exit 1; }
fi
if [[ "$1" == spark ]]; then
  python3 -m ml.steps.requirements_check "$here/ml/spark/requirements.txt" ||
    python3 -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
      -r "$here/ml/spark/requirements.txt" ||
    { echo "pip could not install the packages missing from the Spark image: see ml/spark/requirements.txt" >&2; exit 1; }
  exec smspark-submit "$here/ml/spark/job.py" "${@:2}"
fi
exec python3 -m "ml.steps.$1" "${@:2}"
