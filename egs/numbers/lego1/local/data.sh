#!/usr/bin/env bash
# Stage 1: numbers in words -> data/{train,val,test}_<src>_<tgt>. Options: those of
# `python -m legonn.data.numbers --help`. With --spoken true, and English alone, also the same numbers spoken by
# espeak-ng: data/{train_en_<pairs>,val_en,test_en}_speech.
set -euo pipefail
. ../../TEMPLATE/lego1/utils/options.sh
. ../../TEMPLATE/lego1/utils/speak.sh

spoken=false
train_pairs=20000
take_options "spoken train_pairs" "$@"
"${python:-python3}" -m legonn.data.numbers --output data --train_pairs "${train_pairs}" ${remaining[@]+"${remaining[@]}"}
! "${spoken}" || speak "data/train_en_${train_pairs}" data/val_en data/test_en
