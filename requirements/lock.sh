#!/usr/bin/env bash
# Writes every lock from its *.in files; `make lock` runs it. Argument: the uv to use.
# Later locks take the versions of earlier ones, so that one package has one version in all of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=$1
compile() { # compile OUTPUT INPUT...
  "$uv" pip compile --quiet --universal --python-version "${python:-3.11}" --generate-hashes --no-emit-index-url \
    --custom-compile-command 'make lock' "${@:2}" -o "$1"
}
product_lock() { compile "$@" --excludes requirements/excludes.in; }
in=requirements
product=("$in/core.in" "$in/run.in")
emulators=(emulators/aws/pyproject.toml emulators/github/pyproject.toml)

compile $in/uv.lock $in/uv.in
product_lock $in/dev.lock "${product[@]}" $in/local.in $in/build.in $in/dev.in $in/uv.in "${emulators[@]}" \
  --group emulators/aws/pyproject.toml:test --group emulators/github/pyproject.toml:test -c $in/uv.lock
product_lock $in/local.lock "${product[@]}" $in/local.in $in/build.in "${emulators[@]}" -c $in/dev.lock
product_lock $in/run.lock "${product[@]}" -c $in/dev.lock
compile $in/build.lock $in/build.in -c $in/dev.lock
product_lock $in/core.lock $in/core.in -c $in/dev.lock
for name in aws github; do
  product_lock $in/local-$name.lock emulators/$name/pyproject.toml $in/build.in \
    --group emulators/$name/pyproject.toml:test -c $in/dev.lock
done
compile ml/steps/requirements.txt $in/steps.in --no-deps --no-annotate -c $in/run.lock
python=3.12 compile ml/shards/requirements.txt $in/shards-job.in --no-deps --no-annotate -c $in/run.lock
compile $in/container.lock $in/container.in
python=3.12 compile $in/serving-stack.lock $in/serving-stack.in --overrides $in/overrides.in -c $in/container.lock
python=3.12 compile $in/serving-image.lock $in/serving-image.in -c $in/dev.lock
# Jobs on Spark run in an image of Python 3.12; run.sh installs their packages with --no-deps.
python=3.12 compile ml/spark/requirements.txt $in/spark-job.in --no-deps --no-annotate -c $in/container.lock
python=3.12 compile $in/spark.lock $in/spark.in -c $in/container.lock
compile $in/bench.lock $in/bench.in
compile $in/checkov.lock $in/checkov.in
compile $in/audit.lock $in/audit.in
