#!/usr/bin/env bash
# speechocean762: English prompts read by 250 people, half of them children. Stages, and options beside these:
# ./run.sh --help
#
#   ./run.sh                                          LegoNN
#   ./run.sh --lego_config conf/train_hybrid.yaml     hybrid CTC/attention of the same parts
#   ./run.sh --speed_perturb_factors ""               a third of the training data: at one speed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../TEMPLATE/lego1/utils/options.sh

nbpe=200 # tokens of the list
lego_config=conf/train.yaml # or train_hybrid.yaml
speed_perturb_factors="0.9 1.0 1.1" # of the training set
take_options "nbpe lego_config speed_perturb_factors" "$@"

../../TEMPLATE/lego1/lego.sh --src_modality speech \
    --train_set train --valid_set dev --test_sets "dev test" \
    --src_lang en --tgt_lang en --tgt_case lc --tgt_punctuation false \
    --token_type bpe --bpemode unigram --nbpe "${nbpe}" \
    --lego_config "${lego_config}" --inference_config conf/decode.yaml \
    --speed_perturb_factors "${speed_perturb_factors}" \
    ${remaining[@]+"${remaining[@]}"}
