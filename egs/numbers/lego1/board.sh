#!/usr/bin/env bash
# E2 and E3 on German-English numbers: decoders swapped between seeds; the same for plain encoder-decoders, and for
# LegoNN without CTC. E6 on spoken English: the length controller's positions from the frames, and from counted tokens,
# each behind the De-En decoder of ./run.sh, which comes first. Goes on where it was stopped, and skips what is done.
#
#   ./board.sh                                      E2 and E3, seeds 1 and 2: half an hour on two cores
#   ./board.sh --seeds "1 2 3"
#   ./board.sh --experiments E6 --seeds "1 2 3"     half an hour, after ./run.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
template=../../TEMPLATE/lego1
. "${template}/utils/options.sh"
. "${template}/utils/boards.sh"

experiments="E2 E3"
seeds="1 2"
expdir=exp_board
lender=exp/de_en # E6: whose decoder is lent
take_options "experiments seeds expdir lender results" "$@"

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

hear() { # hear SYSTEM OPTION ...
    local system=$1
    shift
    LEGONN_COMMAND="cd egs/numbers/lego1 && ./run.sh && ./board.sh --experiments E6 --seeds '${seeds}'" "${template}/lego.sh" \
        --src_modality speech --expdir "${expdir}" --train_set train_en_1000_speech --valid_set val_en_speech \
        --local_data_opts "--spoken true --src_lang en --tgt_lang en --train_pairs 1000 --heldout_pairs 300 --largest 99999" \
        --test_sets test_en_speech --src_lang en --tgt_lang en --token_type bpe --bpemode bpe \
        --token_listdir data/en_token_list/bpe_bpe100 --stop_stage 13 --inference_config conf/decode.yaml \
        --score_args "--metric bleu,exact,wer --results ${results} --experiment E6 --system_name ${system} ${more_scores:-}" \
        "$@" ${remaining[@]+"${remaining[@]}"}
}

listen() { # listen SYSTEM NAME CONFIG: each seed, then with the lent decoder
    local system=$1 name=${expdir}/$2 config=$3 seed frames
    for seed in ${seeds}; do
        # Counted positions with the lent decoder are also compared with frames' with it.
        frames=
        [ "$2" = frames ] || frames=${expdir}/compose_frames_s${seed}_$(basename "${lender}")/decode
        hear "${system}" --lego_config "${config}" --lego_exp "${name}_s${seed}" --lego_args "--seed ${seed}"
        more_scores="--seed ${seed}" hear "${system}+De-En-decoder" --stage 12 --skip_train true \
            --pretrained_encoder "${name}_s${seed}" --pretrained_decoder "${lender}" \
            --compare_with "${name}_s${seed}/decode ${frames}"
    done
}

for experiment in ${experiments}; do
    case "${experiment}" in
        E2 | E3) ;;
        E6)
            if [ ! -e "${lender}" ]; then
                echo "$0: error: E6 lends the decoder of ${lender}, which is missing: ./run.sh comes first, or --lender" >&2
                exit 2
            fi
            ;;
        *)
            echo "$0: error: --experiments ${experiment}: there are E2, E3 and E6" >&2
            exit 2
            ;;
    esac
done
for experiment in ${experiments}; do
    case "${experiment}" in
        E2)
            compare E2 LegoNN lego conf/train.yaml conf/decode.yaml "${short}"
            compare E2 encoder-decoder attention conf/tuning/train_attention.yaml conf/tuning/decode_attention.yaml "${short}"
            ;;
        E3) compare E3 LegoNN-without-CTC noctc conf/tuning/train_no_ctc.yaml conf/tuning/decode_attention.yaml "${shorter}" ;;
        E6)
            listen listener,frames frames conf/train_speech.yaml
            listen listener,counted counted conf/tuning/train_counted.yaml
            ;;
    esac
done

. "${template}/path.sh"
"${python:-python3}" -m legonn.bin.report --results "${results}" --preface RESULTS.preface.md --output RESULTS.md
