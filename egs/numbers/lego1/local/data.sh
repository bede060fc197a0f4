#!/usr/bin/env bash
# Stage 1: numbers in words -> data/{train,val,test}_<src>_<tgt>. Options: those of
# `python -m legonn.data.numbers --help`.
set -euo pipefail

"${python:-python3}" -m legonn.data.numbers --output data "$@"
