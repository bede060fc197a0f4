#!/usr/bin/env bash
# E2 and E3 on German-English numbers: decoders swapped between seeds; the same for plain encoder-decoders, and for
# LegoNN without CTC. Goes on where it was stopped, and skips what is done.
#
#   ./board.sh                    seeds 1 and 2: half an hour on two cores
#   ./board.sh --seeds "1 2 3"
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
template=../../TEMPLATE/lego1
. "${template}/utils/options.sh"
. "${template}/utils/boards.sh"

seeds="1 2"
expdir=exp_board
take_options "seeds expdir results" "$@"

# Half of the demo's epochs, or fewer, are enough to compare.
short="--max_epoch 8 --scheduler_conf max_steps=768"
shorter="--max_epoch 6 --scheduler_conf max_steps=576"

lego() { # lego EXPERIMENT SYSTEM DECODING OPTION ...
    local experiment=$1 system=$2 decoding=$3
    shift 3
    LEGONN_COMMAND="cd egs/numbers/lego1 && ./board.sh" "${template}/lego.sh" --expdir "${expdir}" \
        --local_data_opts "--src_lang de --tgt_lang en --train_pairs 20000 --heldout_pairs 300 --largest 99999" \
        --train_set train_de_en --valid_set val_de_en --test_sets test_de_en --src_lang de --tgt_lang en \
        --token_type bpe --bpemode bpe --nbpe 100 --stop_stage 13 --inference_config "${decoding}" \
        --score_args "--metric bleu,exact --results ${results} --experiment ${experiment} --system_name ${system} ${more_scores:-}" \
        "$@" ${remaining[@]+"${remaining[@]}"}
}

compare() { # compare EXPERIMENT SYSTEM NAME CONFIG DECODING ARGS: each seed, then each with the next one's decoder
    local experiment=$1 system=$2 name=${expdir}/$3 config=$4 decoding=$5 args=$6 seed other
    for seed in ${seeds}; do
        lego "${experiment}" "${system}" "${decoding}" --lego_config "${config}" --lego_exp "${name}_s${seed}" \
            --lego_args "--seed ${seed} ${args}"
    done
    for seed in ${seeds}; do
        other=$(next_seed "${seed}")
        [ "${other}" != "${seed}" ] || continue
        more_scores="--seed ${seed}" lego "${experiment}" "${system},swapped" "${decoding}" --stage 12 \
            --skip_train true --pretrained_encoder "${name}_s${seed}" --pretrained_decoder "${name}_s${other}" \
            --compare_with "${name}_s${seed}/$(basename "${decoding}" .yaml)"
    done
}

compare E2 LegoNN lego conf/train.yaml conf/decode.yaml "${short}"
compare E2 encoder-decoder attention conf/tuning/train_attention.yaml conf/tuning/decode_attention.yaml "${short}"
compare E3 LegoNN-without-CTC noctc conf/tuning/train_no_ctc.yaml conf/tuning/decode_attention.yaml "${shorter}"

. "${template}/path.sh"
"${python:-python3}" -m legonn.bin.report --results "${results}" --preface RESULTS.preface.md --output RESULTS.md
