#!/usr/bin/env bash
# Stage 1: speechocean762 -> data/{train,dev,test}. Options: those of `python -m legonn.data.speechocean762 --help`.
# Reads the folder $SPEECHOCEAN762, or fetches the corpus when it is empty.
set -euo pipefail

. ./db.sh
"${python:-python3}" -m legonn.data.speechocean762 --source "${SPEECHOCEAN762}" --downloads downloads --output data "$@"
