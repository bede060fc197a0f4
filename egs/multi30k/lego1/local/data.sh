#!/usr/bin/env bash
# Stage 1: Multi30k -> data/{train,val,test_2016_flickr}_<src>_<tgt>. Options: those of
# `python -m legonn.data.multi30k --help`. Reads the folder $MULTI30K, or downloads when it is empty.
# With --spoken true, and English alone, also data/<set>_en_speech: the captions spoken by espeak-ng.
set -euo pipefail
. ./db.sh
. ../../TEMPLATE/lego1/utils/options.sh
. ../../TEMPLATE/lego1/utils/speak.sh

spoken=false
train_pairs=
take_options "spoken train_pairs" "$@"
"${python:-python3}" -m legonn.data.multi30k --source "${MULTI30K}" --downloads downloads --output data \
    --train_pairs "${train_pairs}" ${remaining[@]+"${remaining[@]}"}
if "${spoken}"; then
    size=
    [ -z "${train_pairs}" ] || [ "${train_pairs}" = 0 ] || size=_${train_pairs}
    speak "data/train_en${size}" data/val_en data/test_2016_flickr_en
fi
