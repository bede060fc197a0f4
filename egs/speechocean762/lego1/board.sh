#!/usr/bin/env bash
# The experiments of RESULTS.md, real voices. Goes on where it was stopped, and skips what is done.
#
#   ./board.sh                       all, seed 1: three hours on two cores
#   ./board.sh --experiments E6      a decoder of text from elsewhere: an hour
#   ./board.sh --experiments tuned   knowledge from elsewhere, fine-tuned
#   ./board.sh --plan true           what would be trained, decoded and compared; nothing is run
#   ./board.sh -- --nj 1 ...         options after -- go to every run.sh
#
#   E1     LegoNN against hybrid CTC/attention, from these voices alone
#   E6     hybrid CTC/attention that writes the pieces of a German-English translation decoder; its encoder with that decoder,
#          which never heard anything, untouched, alone and beside the encoder's own. It learned captions with capitals and full
#          stops, of which these voices' text has none
#   tuned  E6 with fine-tuning: an encoder that heard synthetic captions and a decoder of German-English translation, both
#          learning from these voices. They come from ../../multi30k/lego1, where ./board.sh --experiments E6 trains them; or
#          give others
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../TEMPLATE/lego1/utils/options.sh
. ../../TEMPLATE/lego1/utils/boards.sh

experiments="E1 E6 tuned"
seeds="1"
# What E6 borrows: a module, whose token list is that of the encoder, too.
lent_decoder=../../multi30k/lego1/modules/de_en_pieces_decoder
# What tuned begins with: experiments, modules or names on the Hub, as everywhere; and their token list.
pretrained_encoder=../../multi30k/lego1/exp/spoken2500_finetuned_s1
pretrained_decoder=../../multi30k/lego1/exp/spoken2500_finetuned_s1
token_listdir=../../multi30k/lego1/data/en_token_list/bpe_unigram2000_1-24000
take_options "experiments seeds expdir results report lego_args plan lent_decoder pretrained_encoder pretrained_decoder
    token_listdir" "$@"

e1() {
    local seed
    for seed in ${seeds}; do
        train E1 hybrid hybrid conf/train_hybrid.yaml "${seed}"
        train E1 LegoNN lego conf/train.yaml "${seed}" --compare_with "${expdir}/hybrid_s${seed}/decode"
    done
}

pieces=(--token_listdir "${lent_decoder}")

baseline() { # baseline SEED
    train E6 hybrid,pieces hybrid_pieces conf/train_hybrid.yaml "$1" "${pieces[@]}"
}

e6() {
    local seed compared
    for seed in ${seeds}; do
        baseline "${seed}"
        compared=(--compare_with "${expdir}/hybrid_pieces_s${seed}/decode")
        compose E6 hybrid-encoder,pieces+De-En-decoder "${expdir}/hybrid_pieces_s${seed}" "${lent_decoder}" "${seed}" \
            "${pieces[@]}" "${compared[@]}"
        compose E6 hybrid-encoder,pieces+De-En-decoder+own-decoder "${expdir}/hybrid_pieces_s${seed}" "${lent_decoder}" \
            "${seed}" "${pieces[@]}" "${compared[@]}" --ensemble "${expdir}/hybrid_pieces_s${seed}" \
            --inference_config conf/tuning/decode_together.yaml
    done
}

tuned() {
    local seed
    for seed in ${seeds}; do
        baseline "${seed}"
        train E6 ASR-encoder+De-En-decoder,fine-tuned finetuned conf/tuning/train_finetune.yaml "${seed}" \
            --token_listdir "${token_listdir}" --pretrained_encoder "${pretrained_encoder}" \
            --pretrained_decoder "${pretrained_decoder}" --compare_with "${expdir}/hybrid_pieces_s${seed}/decode"
    done
}

# What is missing is told before hours of training.
need() { # need REMEDY PART ...
    local part remedy=$1
    shift
    for part in "$@"; do
        [[ "${part}" = hf:* ]] || [ -e "${part%%:*}" ] || {
            echo "$0: error: ${part} is missing: ${remedy} (--help)" >&2
            exit 2
        }
    done
}
if [ "${plan}" = false ] && [[ " ${experiments} " = *" tuned "* ]]; then
    need "run ./board.sh --experiments E6 in ../../multi30k/lego1, or give others" \
        "${pretrained_encoder}" "${pretrained_decoder}" "${token_listdir}"
fi
if [ "${plan}" = false ] && [ "${experiments}" != E1 ]; then
    need "it is a part of this repository; or give another, --lent_decoder" "${lent_decoder}"
fi
for experiment in ${experiments}; do
    case "${experiment}" in
        E1) e1 ;; E6) e6 ;; tuned) tuned ;;
        *) echo "$0: error: no experiment ${experiment}: there are E1 E6 tuned" >&2; exit 2 ;;
    esac
done
[ "${plan}" = false ] || exit 0

. ../../TEMPLATE/lego1/path.sh
"${python:-python3}" -m legonn.bin.report --results "${results}" --preface RESULTS.preface.md --output "${report}"
