#!/usr/bin/env bash
# Multi30k captions to English. `./run.sh` does German; `./run.sh --src_lang fr` French;
# `--train_pairs 5000` plays a language with little data. Other options: ./run.sh --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../TEMPLATE/lego1/utils/options.sh

src_lang=de
tgt_lang=en
train_pairs=0
take_options "src_lang tgt_lang train_pairs" "$@"

pair=${src_lang}_${tgt_lang}
train_set=train_${pair}
[ "${train_pairs}" = 0 ] || train_set=${train_set}_${train_pairs}

../../TEMPLATE/lego1/lego.sh \
    --local_data_opts "--src_lang ${src_lang} --tgt_lang ${tgt_lang} --train_pairs ${train_pairs}" \
    --train_set "${train_set}" \
    --valid_set "val_${pair}" \
    --test_sets "val_${pair} test_2016_flickr_${pair}" \
    --src_lang "${src_lang}" --tgt_lang "${tgt_lang}" \
    --token_type bpe --bpemode unigram --nbpe 2000 \
    --lego_config conf/train_lego.yaml \
    --inference_config conf/decode.yaml \
    "${remaining[@]}"
