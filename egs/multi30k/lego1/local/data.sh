#!/usr/bin/env bash
# Stage 1: Multi30k -> data/{train,val,test_2016_flickr}_<src>_<tgt>. Options: those of
# `python -m legonn.data.multi30k --help`. Reads the folder $MULTI30K, or downloads when it is empty.
set -euo pipefail

. ./db.sh
"${python:-python3}" -m legonn.data.multi30k --source "${MULTI30K}" --downloads downloads --output data "$@"
