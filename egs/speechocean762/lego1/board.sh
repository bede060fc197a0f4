#!/usr/bin/env bash
# The experiments of RESULTS.md, real voices. Goes on where it was stopped, and skips what is done.
#
#   ./board.sh                       all, seed 1: six hours on two cores
#   ./board.sh --experiments E6      a decoder of text from elsewhere: an hour
#   ./board.sh --experiments tuned   knowledge from elsewhere, fine-tuned: four hours
#   ./board.sh --plan true           what would be trained, decoded and compared; nothing is run
#   ./board.sh -- --nj 1 ...         options after -- go to every run.sh
#
#   E1     LegoNN against hybrid CTC/attention, from these voices alone
#   E6     hybrid CTC/attention that writes the pieces of a German-English translation decoder; its encoder with that decoder,
#          which never heard anything, untouched, alone and beside the encoder's own. It learned captions with capitals and full
#          stops, of which these voices' text has none
#   tuned  knowledge from elsewhere, fine-tuned: hybrid CTC/attention that heard 2.4 hours of synthetic captions; and its encoder
#          with the decoder of E6, both learning; the two together, and with a language model of captions and prompts. Where
#          that hybrid isn't there yet, ../../multi30k/lego1 trains it first, an hour and a half, as its board does for E6
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../TEMPLATE/lego1/utils/options.sh
. ../../TEMPLATE/lego1/utils/boards.sh

experiments="E1 E6 tuned"
seeds="1"
# What E6 borrows: a module, whose token list is that of the encoder, too.
lent_decoder=../../multi30k/lego1/modules/de_en_pieces_decoder
# What tuned begins with, of the same token list; and the captions that the language model learns.
elsewhere=../../multi30k/lego1
listener=${elsewhere}/exp/spoken2500_hybrid_pieces_s1
captions=${elsewhere}/data/train_de_en_1-24000/text.tc.en
made_elsewhere="${listener} ${captions}"
take_options "experiments seeds expdir results report lego_args plan lent_decoder listener captions" "$@"

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
    local seed compared begun advised alone model=${expdir}/lm_captions_s1
    hear_captions
    recipe E6 words --stage 1 --stop_stage 4
    [ "${plan}" = true ] || words >data/words.lc.en
    recipe E6 words "${pieces[@]}" --stage 6 --stop_stage 8 --use_lm true --lm_exp "${model}" \
        --lm_config conf/tuning/train_lm_captions.yaml --lm_args "--seed 1" --lm_train_text data/words.lc.en
    advised=(--stage 12 --pretrained_lm "${model}")
    for seed in ${seeds}; do
        baseline "${seed}"
        compared="${expdir}/hybrid_pieces_s${seed}/decode"
        begun=(--pretrained_encoder "${listener}")
        alone=${expdir}/finetuned_hybrid_pieces_s${seed}
        train E6 hybrid-encoder,pieces+De-En-decoder,fine-tuned finetuned_pieces conf/tuning/train_finetune.yaml "${seed}" \
            "${pieces[@]}" "${begun[@]}" --pretrained_decoder "${lent_decoder}" --compare_with "${compared}"
        train_args="--system hybrid"
        train E6 hybrid,pieces,fine-tuned finetuned_hybrid_pieces conf/tuning/train_finetune.yaml "${seed}" "${pieces[@]}" \
            "${begun[@]}" --pretrained_decoder "${listener}" \
            --compare_with "${compared} ${expdir}/finetuned_pieces_s${seed}/decode"
        more_scores="--seed ${seed}" train E6 hybrid,pieces,fine-tuned+LM finetuned_hybrid_pieces conf/tuning/train_finetune.yaml \
            "${seed}" "${pieces[@]}" "${begun[@]}" --pretrained_decoder "${listener}" "${advised[@]}" \
            --inference_config conf/tuning/decode_lm.yaml --compare_with "${compared} ${alone}/decode"
        train_args=
        more_scores="--seed ${seed}" train E6 both,fine-tuned+LM finetuned_pieces conf/tuning/train_finetune.yaml "${seed}" \
            "${pieces[@]}" "${begun[@]}" --pretrained_decoder "${lent_decoder}" --ensemble "${alone}" "${advised[@]}" \
            --inference_config conf/tuning/decode_together_lm.yaml \
            --compare_with "${compared} ${alone}/decode ${expdir}/ensemble_$(basename "${alone}")_with_$(basename "${model}")/decode_lm"
    done
}

hear_captions() { # the listener and the captions of the other recipe, with its board's commands
    local list=data/en_token_list/bpe_unigram300_1-24000 learn
    [ "${listener} ${captions}" = "${made_elsewhere}" ] || return 0
    [ ! -e "${listener}/.done" ] || [ ! -e "${captions}" ] || return 0
    learn=("${elsewhere}/run.sh" --src_modality speech --train_pairs 26501-29000 --token_listdir "${list}"
        --speed_perturb_factors "0.9 1.0 1.1" --lego_exp exp/spoken2500_hybrid_pieces_s1
        --lego_config conf/tuning/train_speech_hybrid_pieces.yaml --lego_args "--seed 1" --stop_stage 11)
    if [ "${plan}" = true ]; then
        echo "${elsewhere}/run.sh --train_pairs 1-24000 --nbpe 300 --token_listdir '' --stop_stage 5"
        printf '%q ' "${learn[@]}"
        echo
    else
        "${elsewhere}/run.sh" --train_pairs 1-24000 --nbpe 300 --token_listdir "" --stop_stage 5
        "${learn[@]}"
    fi
}

words() { # captions as these prompts are written, and the prompts, three times
    local i
    {
        awk '{
            id = $1; $1 = ""; said = tolower($0)
            gsub(/-/, " ", said); gsub(/[^a-z0-9\x27 ]/, "", said)
            print id said
        }' "${captions}"
        for i in 1 2 3; do sed "s/ /-${i} /" data/train/text.lc.en; done
    } | LC_ALL=C sort -k 1,1
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
if [ "${plan}" = false ] && [[ " ${experiments} " = *" tuned "* ]] && [ "${listener} ${captions}" != "${made_elsewhere}" ]; then
    need "mend its name, or leave --listener and --captions out: ${elsewhere} makes them" "${listener}" "${captions}"
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
