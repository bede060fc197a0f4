#!/usr/bin/env bash
# The experiments of RESULTS.md, German to English: E1, LegoNN against the plain encoder-decoder; E2, decoders
# swapped between seeds; E3, the same without CTC. Goes on where it was stopped, and skips what is done.
#
#   ./board.sh                    seeds 1 and 2: about two hours on two cores with bf16, seven without
#   ./board.sh --seeds "1 2 3"
#   ./board.sh --expdir exp_short --suffix ,4-epochs --extras false --lego_args "--max_epoch 4 --scheduler_conf max_steps=2270" \
#       --noctc_args "--max_epoch 2 --scheduler_conf max_steps=1130"    shorter trainings, rows named after them
#   ./board.sh -- --nj 1 ...      options after -- go to every run.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../TEMPLATE/lego1/utils/options.sh

seeds="1 2"
expdir=exp
results=results.json
lego_args=     # more options of every training
noctc_args=    # more options of the trainings without CTC, after those
suffix=        # of every row's system
extras=true    # other decodings of LegoNN, and BeamConv
take_options "seeds expdir results lego_args noctc_args suffix extras" "$@"

recipe() { # recipe EXPERIMENT SYSTEM OPTION ...: run.sh, its scores noted under that name
    local experiment=$1 system=$2
    shift 2
    ./run.sh --expdir "${expdir}" --score_args "--results ${results} --experiment ${experiment} --system_name ${system}${suffix} ${more_scores:-}" \
        "$@" ${remaining[@]+"${remaining[@]}"}
}

train() { # train EXPERIMENT SYSTEM NAME CONFIG SEED OPTION ...
    local experiment=$1 system=$2 exp=${expdir}/$3_s$5 config=$4 seed=$5
    shift 5
    recipe "${experiment}" "${system}" --lego_exp "${exp}" --lego_config "${config}" \
        --lego_args "--seed ${seed} ${lego_args} ${train_args:-}" "$@"
}

swap() { # swap EXPERIMENT SYSTEM NAME ENCODER_SEED DECODER_SEED OPTION ...
    local experiment=$1 system=$2 name=$3 encoder=$4 decoder=$5
    shift 5
    more_scores="--seed ${encoder}" recipe "${experiment}" "${system}" --stage 12 --skip_train true \
        --pretrained_encoder "${expdir}/${name}_s${encoder}" \
        --pretrained_decoder "${expdir}/${name}_s${decoder}" "$@"
}

next_seed() { # next_seed SEED: the seed whose decoder is put behind this one's encoder
    local list i
    read -ra list <<<"${seeds}"
    for i in "${!list[@]}"; do
        [ "${list[i]}" != "$1" ] || echo "${list[(i + 1) % ${#list[@]}]}"
    done
}

plain=(--inference_config conf/decode_attention.yaml)
greedy=(--stage 12 --inference_config conf/tuning/decode_ctc_greedy.yaml)
alone=(--stage 12 --inference_config conf/tuning/decode_decoder_alone.yaml)

for seed in ${seeds}; do
    baseline=${expdir}/attention_s${seed}/decode_attention
    train E1 encoder-decoder attention conf/train_attention.yaml "${seed}" "${plain[@]}"
    train E1 LegoNN-WEmb lego conf/train.yaml "${seed}" --compare_with "${baseline}"
    [ "${extras}" = true ] || continue
    train E1 LegoNN-WEmb,decoder-alone lego conf/train.yaml "${seed}" "${alone[@]}"
    train E1 LegoNN-WEmb,CTC-greedy lego conf/train.yaml "${seed}" "${greedy[@]}"
done
for seed in ${seeds}; do
    other=$(next_seed "${seed}")
    [ "${other}" != "${seed}" ] || continue
    swap E2 LegoNN-WEmb,swapped lego "${seed}" "${other}" --compare_with "${expdir}/lego_s${seed}/decode"
    swap E2 encoder-decoder,swapped attention "${seed}" "${other}" "${plain[@]}" \
        --compare_with "${expdir}/attention_s${seed}/decode_attention"
done

noctc=(--inference_config conf/tuning/decode_decoder_alone.yaml)
for seed in ${seeds}; do
    train_args=${noctc_args} \
        train E3 LegoNN-without-CTC noctc conf/tuning/train_no_ctc.yaml "${seed}" "${noctc[@]}"
done
for seed in ${seeds}; do
    other=$(next_seed "${seed}")
    [ "${other}" != "${seed}" ] || continue
    swap E3 LegoNN-without-CTC,swapped noctc "${seed}" "${other}" "${noctc[@]}" \
        --compare_with "${expdir}/noctc_s${seed}/decode_decoder_alone"
done

if [ "${extras}" = true ]; then
    first=${seeds%% *}
    train E1 LegoNN-BeamConv beamconv conf/tuning/train_beamconv.yaml "${first}" \
        --compare_with "${expdir}/attention_s${first}/decode_attention"
fi

. ../../TEMPLATE/lego1/path.sh
"${python:-python3}" -m legonn.bin.report --results "${results}" --preface RESULTS.preface.md --output RESULTS.md
