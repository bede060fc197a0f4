#!/usr/bin/env bash
# The experiments of RESULTS.md, real voices. Goes on where it was stopped, and skips what is done.
#
#   ./board.sh                       all, seed 1: two hours on two cores
#   ./board.sh --experiments E6      a system that brings knowledge from elsewhere, and the baseline
#   ./board.sh --plan true           what would be trained, decoded and compared; nothing is run
#   ./board.sh -- --nj 1 ...         options after -- go to every run.sh
#
#   E1  LegoNN against hybrid CTC/attention, from these voices alone
#   E6  an encoder that heard synthetic captions and a decoder of German-English translation, fine-tuned on these voices.
#       Both come from ../../multi30k/lego1, where ./board.sh --experiments E6 trains them; or give others
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../TEMPLATE/lego1/utils/options.sh
. ../../TEMPLATE/lego1/utils/boards.sh

experiments="E1 E6"
seeds="1"
# E6 begins with these: experiments, modules or names on the Hub, as everywhere; and their token list.
pretrained_encoder=../../multi30k/lego1/exp/spoken2500_finetuned_s1
pretrained_decoder=../../multi30k/lego1/exp/spoken2500_finetuned_s1
token_listdir=../../multi30k/lego1/data/en_token_list/bpe_unigram2000_1-24000
take_options "experiments seeds expdir results report lego_args plan pretrained_encoder pretrained_decoder token_listdir" "$@"

baseline() { # baseline SEED
    train E1 hybrid hybrid conf/train_hybrid.yaml "$1"
}

e1() {
    local seed
    for seed in ${seeds}; do
        baseline "${seed}"
        train E1 LegoNN lego conf/train.yaml "${seed}" --compare_with "${expdir}/hybrid_s${seed}/decode"
    done
}

e6() {
    local seed
    for seed in ${seeds}; do
        baseline "${seed}"
        train E6 ASR-encoder+De-En-decoder,fine-tuned finetuned conf/tuning/train_finetune.yaml "${seed}" \
            --token_listdir "${token_listdir}" --pretrained_encoder "${pretrained_encoder}" \
            --pretrained_decoder "${pretrained_decoder}" --compare_with "${expdir}/hybrid_s${seed}/decode"
    done
}

# What is missing is told before hours of training.
if [ "${plan}" = false ] && [[ " ${experiments} " = *" E6 "* ]]; then
    for part in "${pretrained_encoder}" "${pretrained_decoder}" "${token_listdir}"; do
        [[ "${part}" = hf:* ]] || [ -e "${part%%:*}" ] || {
            echo "$0: error: ${part} is missing: run ./board.sh --experiments E6 in ../../multi30k/lego1, or give others (--help)" >&2
            exit 2
        }
    done
fi
for experiment in ${experiments}; do
    case "${experiment}" in
        E1) e1 ;; E6) e6 ;;
        *) echo "$0: error: no experiment ${experiment}: there are E1 E6" >&2; exit 2 ;;
    esac
done
[ "${plan}" = false ] || exit 0

. ../../TEMPLATE/lego1/path.sh
"${python:-python3}" -m legonn.bin.report --results "${results}" --preface RESULTS.preface.md --output "${report}"
