# shellcheck shell=bash
# Sourced by lego.sh from a recipe's folder: where Python finds legonn, and how many threads a
# process takes. A recipe with a path.sh of its own uses that one instead.
LEGONN_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
export PYTHONPATH="${LEGONN_ROOT}${PYTHONPATH:+:${PYTHONPATH}}"
# The C locale's order, UTF-8's characters; and text in UTF-8 wherever Python runs.
export LC_ALL=C.UTF-8 PYTHONUTF8=1 PYTHONUNBUFFERED=1
# Jobs that run side by side take one thread each; training (stage 11) takes --num_threads.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
