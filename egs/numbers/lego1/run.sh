#!/usr/bin/env bash
# Numbers in words to English: German with plenty of pairs, Romanian with few, and English speech (synthetic) with few;
# then Romanian's and the listener's encoders with German's decoder, which has seen neither. Ends with a table.
#
#   ./run.sh                            all of it, minutes on two cores
#   ./run.sh --spoken_pairs 0           text only
#   ./run.sh --low_pairs 1000 --expdir exp_1000    more Romanian, beside the first experiments
#   ./run.sh --stage 12 ...             options of lego.sh go to all of them (../../TEMPLATE/lego1/lego.sh --help)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
template=../../TEMPLATE/lego1
. "${template}/utils/options.sh"

train_pairs=20000  # German-English, for training
few=200
low_pairs=${few}   # Romanian-English, for training
spoken_pairs=1000  # English numbers, spoken, for training; 0: none
heldout_pairs=300  # for validation, and for the test
largest=99999      # largest number
nbpe=100           # English tokens, shared by both
src_nbpe=100       # German tokens, Romanian tokens
lego_config=conf/train.yaml # German-English's
low_lego_config=conf/train_low.yaml # Romanian's
speech_lego_config=conf/train_speech.yaml # the listener's
inference_config=conf/decode.yaml # of all
speed_perturb_factors= # of speech
expdir=exp         # experiments
results=           # the file that scores are noted in; results.json in expdir unless given
stage=1            # the first, see below
stop_stage=15      # the last
python=python3     # the interpreter
take_options "train_pairs low_pairs spoken_pairs heldout_pairs largest nbpe src_nbpe lego_config low_lego_config
    speech_lego_config speed_perturb_factors inference_config expdir results stage stop_stage python" "$@"
[ "${python}" = python3 ] || remaining=(--python "${python}" ${remaining[@]+"${remaining[@]}"})

if [[ " ${remaining[*]-} " =~ \ --(use|pretrained)[_-]lm[\ =] ]]; then
    echo "$0: error: the table compares systems without a language model: call ${template}/lego.sh for one that has it" >&2
    exit 2
fi
de_en=${expdir}/de_en
ro_en=${expdir}/ro_en
asr_en=${expdir}/asr_en
metrics=exact,bleu
[ "${spoken_pairs}" = 0 ] || metrics+=,wer
decoding=$(basename "${inference_config}" .yaml)

lego() { # lego SRC_LANG PAIRS CONFIG OPTION ...
    local src_lang=$1 pairs=$2 config=$3
    shift 3
    local data_opts="--src_lang ${src_lang} --tgt_lang en --train_pairs ${pairs}"
    data_opts+=" --heldout_pairs ${heldout_pairs} --largest ${largest}"
    "${template}/lego.sh" --local_data_opts "${data_opts}" \
        --train_set "train_${src_lang}_en" --valid_set "val_${src_lang}_en" \
        --test_sets "test_${src_lang}_en" --src_lang "${src_lang}" --tgt_lang en \
        --token_type bpe --bpemode bpe --src_nbpe "${src_nbpe}" --tgt_nbpe "${nbpe}" \
        --lego_config "${config}" --inference_config "${inference_config}" \
        --inference_tag "${decoding}" --expdir "${expdir}" --stop_stage "${stop_stage}" "$@"
}

hear() { # hear OPTION ...: English, spoken
    local data_opts="--spoken true --src_lang en --tgt_lang en --train_pairs ${spoken_pairs}"
    data_opts+=" --heldout_pairs ${heldout_pairs} --largest ${largest}"
    "${template}/lego.sh" --src_modality speech --local_data_opts "${data_opts}" \
        --speed_perturb_factors "${speed_perturb_factors}" \
        --train_set "train_en_${spoken_pairs}_speech" --valid_set val_en_speech --test_sets test_en_speech \
        --src_lang en --tgt_lang en --token_type bpe --bpemode bpe --token_listdir "${english}" \
        --lego_config "${speech_lego_config}" --inference_config "${inference_config}" \
        --inference_tag "${decoding}" --expdir "${expdir}" --stop_stage "${stop_stage}" "$@"
}

scores() { # scores SYSTEM [EXPERIMENT]: how stage 13 records it
    echo "--metric ${metrics} --results ${results:-${expdir}/results.json} --experiment ${2:-E4} --system_name $1"
}

english=data/en_token_list/bpe_bpe${nbpe}
# A list keeps the text that it was learned from; other pairs make another Romanian one.
if [ "${low_pairs}" = "${few}" ]; then tag=; else tag=${low_pairs}; fi
lego de "${train_pairs}" "${lego_config}" --lego_exp "${de_en}" --stage "${stage}" \
    --score_args "$(scores De-En)" ${remaining[@]+"${remaining[@]}"}
lego ro "${low_pairs}" "${low_lego_config}" --lego_exp "${ro_en}" --stage "${stage}" \
    --token_listdir "${english}" --token_tag "${tag}" --score_args "$(scores Ro-En)" ${remaining[@]+"${remaining[@]}"}
[ "${spoken_pairs}" = 0 ] || hear --lego_exp "${asr_en}" --stage "${stage}" \
    --score_args "$(scores English-ASR E6)" ${remaining[@]+"${remaining[@]}"}
if [ "${stop_stage}" -lt 12 ]; then exit 0; fi
lego ro "${low_pairs}" "${low_lego_config}" --stage "$((stage > 12 ? stage : 12))" \
    --token_listdir "${english}" --token_tag "${tag}" --skip_train true \
    --pretrained_encoder "${ro_en}" --pretrained_decoder "${de_en}" \
    --compare_with "Ro-En=${ro_en}/${decoding}" \
    --score_args "$(scores Ro-encoder+De-En-decoder)" ${remaining[@]+"${remaining[@]}"}
[ "${spoken_pairs}" = 0 ] || hear --stage "$((stage > 12 ? stage : 12))" --skip_train true \
    --pretrained_encoder "${asr_en}" --pretrained_decoder "${de_en}" \
    --compare_with "English-ASR=${asr_en}/${decoding}" \
    --score_args "$(scores ASR-encoder+De-En-decoder E6)" ${remaining[@]+"${remaining[@]}"}
if [ "${stop_stage}" -lt 13 ]; then exit 0; fi

. "${template}/path.sh"
spoken=()
[ "${spoken_pairs}" = 0 ] || spoken=(
    "English ASR alone=${asr_en}/${decoding}/test_en_speech/score.json"
    "ASR encoder + De-En decoder=${expdir}/compose_asr_en_de_en/${decoding}/test_en_speech/score.json"
)
echo
"${python}" "${template}/utils/table.py" --metric "${metrics}" \
    "De-En=${de_en}/${decoding}/test_de_en/score.json" \
    "Ro-En alone=${ro_en}/${decoding}/test_ro_en/score.json" \
    "Ro encoder + De-En decoder=${expdir}/compose_ro_en_de_en/${decoding}/test_ro_en/score.json" \
    ${spoken[@]+"${spoken[@]}"}
