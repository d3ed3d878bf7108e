#!/bin/bash
# Runs one step inside a SageMaker job: `bash run.sh prepare ARGS`. The folder of this file holds the package `ml`
# and requirements.txt; nothing is written to it, because SageMaker may mount it read-only.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
python3 -m ml.steps.installed "$here/requirements.txt" || \
  python3 -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
exec python3 -m "ml.steps.$1" "${@:2}"
