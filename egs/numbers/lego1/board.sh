#!/usr/bin/env bash
# The experiments of RESULTS.md beside the demo's. Goes on where it was stopped, and skips what is done.
#
#   ./board.sh                                      E2 and E3, seeds 1 and 2: half an hour on two cores
#   ./board.sh --seeds "1 2 3"
#   ./board.sh --experiments E6 --seeds "1 2 3"     half an hour, after ./run.sh
#   ./board.sh --experiments E7                     a quarter of an hour a seed, after ./run.sh --stop_stage 5
#   ./board.sh --experiments "E1 E8 E9"             an hour a seed, after ./run.sh --stop_stage 5
#   ./board.sh --plan true                          what would be trained, decoded and compared; nothing is run
#   ./board.sh -- --nj 1 ...                        options after -- go to every lego.sh
#
#   E1  spoken English: LegoNN, hybrid CTC/attention, and the plain encoder-decoder
#   E2  German: decoders swapped between seeds; the same for plain encoder-decoders
#   E3  E2 without CTC
#   E6  spoken English: the length controller's positions from the frames, and from counted tokens, each with its own decoder
#       and in front of the De-En decoder of ./run.sh
#   E7  spoken English to German, of which nothing is trained together: the listener of E1, a bridge from English to German, made
#       of text, and the decoder of Romanian-German; beside that bridge and decoder behind the listener's text
#   E8  spoken English: an encoder of 100 recordings with the decoder of a system of 1,000; alone; and baselines of the 100,
#       hybrid CTC/attention and the plain encoder-decoder
#   E9  spoken English: the listener of E6 in front of German's decoders with either ingestor
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
template=../../TEMPLATE/lego1
. "${template}/utils/options.sh"
. "${template}/utils/boards.sh"

experiments="E2 E3"
seeds="1 2"
expdir=exp_board
lender=exp/de_en # E6: whose decoder is lent
options=$(printf ' %q' "$@")
take_options "experiments seeds expdir lender results report lego_args plan" "$@"
case " ${experiments} " in
    *" E6 "*) before="./run.sh && " ;;
    *" E1 "* | *" E7 "* | *" E8 "* | *" E9 "*) before="./run.sh --stop_stage 5 && " ;;
    *) before= ;;
esac
LEGONN_COMMAND="cd egs/numbers/lego1 && ${before}./board.sh${options% \'\'}"

# Half of the demo's epochs, or fewer, are enough to compare.
short="--max_epoch 8"
shorter="--max_epoch 6"
tokens=data/en_token_list/bpe_bpe100
german_tokens=data/de_token_list/bpe_bpe100

read_german() { # read_german COMMAND ...: one of boards.sh, for German-English numbers
    local metrics=bleu,exact
    local program=("${template}/lego.sh" --train_set train_de_en --valid_set val_de_en --test_sets test_de_en
        --local_data_opts "--src_lang de --tgt_lang en --train_pairs 20000 --heldout_pairs 300 --largest 99999"
        --src_lang de --tgt_lang en --token_type bpe --bpemode bpe --nbpe 100)
    "$@"
}

write_german() { # write_german LANG COMMAND ...: one of boards.sh, for numbers of that language in German
    local from=$1 metrics=exact,chrf # BLEU counts words, and German writes a number as one
    shift
    local program=("${template}/lego.sh" --train_set "train_${from}_de" --valid_set "val_${from}_de"
        --test_sets "test_${from}_de"
        --local_data_opts "--src_lang ${from} --tgt_lang de --train_pairs 20000 --heldout_pairs 300 --largest 99999"
        --src_lang "${from}" --tgt_lang de --token_type bpe --bpemode bpe --nbpe 100 --token_tag 20000
        --token_listdir "${german_tokens}")
    "$@"
}

hear() { # hear RECORDINGS COMMAND ...: one of boards.sh, for so much spoken English
    local recordings=$1 metrics=bleu,exact,wer
    shift
    local program=("${template}/lego.sh" --src_modality speech --train_set "train_en_${recordings}_speech"
        --valid_set val_en_speech --test_sets test_en_speech
        --local_data_opts "--spoken true --src_lang en --tgt_lang en --train_pairs ${recordings} --heldout_pairs 300 --largest 99999"
        --src_lang en --tgt_lang en --token_type bpe --bpemode bpe --token_listdir "${tokens}")
    "$@"
}

swap_seeds() { # swap_seeds EXPERIMENT SYSTEM NAME CONFIG DECODING ARGS: each seed, then each with the next one's decoder
    local experiment=$1 system=$2 name=$3 config=$4 decoding=$5 train_args=$6 seed other
    for seed in ${seeds}; do
        read_german train "${experiment}" "${system}" "${name}" "${config}" "${seed}" --inference_config "${decoding}"
    done
    for seed in ${seeds}; do
        other=$(next_seed "${seed}")
        [ "${other}" != "${seed}" ] || continue
        read_german swap "${experiment}" "${system},swapped" "${name}_s${seed}" "${name}_s${other}" "${seed}" \
            --inference_config "${decoding}" --compare_with "${expdir}/${name}_s${seed}/$(basename "${decoding}" .yaml)"
    done
}

listen() { # listen SYSTEM NAME CONFIG: each seed, then with the lent decoder
    local system=$1 name=$2 config=$3 seed frames
    for seed in ${seeds}; do
        # Counted positions with the lent decoder are also compared with frames' with it.
        frames=
        [ "${name}" = frames ] || frames=${expdir}/compose_frames_s${seed}_$(basename "${lender}")/decode
        hear 1000 train E6 "${system}" "${name}" "${config}" "${seed}" --inference_config conf/decode.yaml
        hear 1000 compose E6 "${system}+De-En-decoder" "${expdir}/${name}_s${seed}" "${lender}" "${seed}" \
            --inference_config conf/decode.yaml --compare_with "${expdir}/${name}_s${seed}/decode ${frames}"
    done
}

plain=(--inference_config conf/tuning/decode_attention.yaml)

listeners() { # of 1,000 recordings
    local seed baseline
    for seed in ${seeds}; do
        baseline="${expdir}/hybrid_s${seed}/decode ${expdir}/speech_attention_s${seed}/decode_attention"
        hear 1000 train E1 hybrid hybrid conf/tuning/train_speech_hybrid.yaml "${seed}" --inference_config conf/decode.yaml
        hear 1000 train E1 encoder-decoder speech_attention conf/tuning/train_speech_attention.yaml "${seed}" "${plain[@]}"
        hear 1000 train E1 LegoNN frames conf/train_speech.yaml "${seed}" --inference_config conf/decode.yaml \
            --compare_with "${baseline}"
    done
}

translate() { # translate SYSTEM NAME SEED INPUT OPTION ...: English of INPUT in German by legonn decode, scored by that name
    local system=$1 folder=${expdir}/$2_s$3 seed=$3 input=$4
    shift 4
    if [ "${plan}" = true ]; then
        echo "legonn decode --input ${input} --output ${folder} $*"
        return
    fi
    "${python:-python3}" -m legonn.bin.decode --config conf/decode.yaml --resume true --input "${input}" --output "${folder}" "$@"
    "${python:-python3}" -m legonn.bin.score --hyp "${folder}/1best_recog/text" --ref data/test_en_de/text.tc.de \
        --output "${folder}/score.json" --results "${results}" --experiment E7 --system_name "${system}" --recipe numbers \
        --test_set test_en_speech:de --seed "${seed}" --metric exact,chrf --synthetic --command "${LEGONN_COMMAND}" \
        ${baseline:+--compare "${baseline}"}
}

chains() { # three parts of three data sets, and the same with text in between
    local seed listener bridge baseline train_args
    for seed in ${seeds}; do
        listener=${expdir}/frames_s${seed}
        bridge=${expdir}/bridge_s${seed}
        train_args=${short}
        write_german ro train E7 Ro-De ro_de conf/train.yaml "${seed}" --inference_config conf/decode.yaml
        train_args=
        write_german en train E7 bridge+Ro-De-decoder,text bridge conf/tuning/train_bridge.yaml "${seed}" \
            --src_token_listdir "${tokens}" --interface_listdir "${tokens}" --interface_lang en --pretrained_decoder "${expdir}/ro_de_s${seed}" \
            --freeze decoder --inference_config conf/decode.yaml
        hear 1000 train E7 listener frames conf/train_speech.yaml "${seed}" --inference_config conf/decode.yaml
        baseline=
        translate ASR-text,bridge+Ro-De-decoder cascade "${seed}" "${listener}/decode/test_en_speech/text" --system "${bridge}"
        baseline=cascade=${expdir}/cascade_s${seed}/1best_recog/text
        translate ASR-encoder+bridge+Ro-De-decoder chain "${seed}" data/test_en_speech/wav.scp \
            --encoder "${listener}" --bridge "${bridge}" --decoder "${expdir}/ro_de_s${seed}"
    done
}

tenth() { # a baseline and a listener of 100 recordings, and the latter's encoder with the decoder of 1,000
    local seed plain_scores baseline train_args
    for seed in ${seeds}; do
        train_args="--num_iters_per_epoch 117" # as many updates as from 1,000
        hear 100 train E8 encoder-decoder,100 tenth_attention conf/tuning/train_speech_attention.yaml "${seed}" "${plain[@]}"
        train_args=
        plain_scores=${expdir}/tenth_attention_s${seed}/decode_attention
        hear 100 train E8 hybrid,100 tenth_hybrid conf/tuning/train_tenth_hybrid.yaml "${seed}" \
            --inference_config conf/decode.yaml --compare_with "${plain_scores}"
        baseline=(--inference_config conf/decode.yaml --compare_with "${expdir}/tenth_hybrid_s${seed}/decode ${plain_scores}")
        hear 100 train E8 listener,100 tenth conf/tuning/train_tenth.yaml "${seed}" "${baseline[@]}"
        hear 1000 train E8 listener,1000 frames conf/train_speech.yaml "${seed}" "${baseline[@]}"
        hear 100 swap E8 encoder-of-100+decoder-of-1000 "tenth_s${seed}" "frames_s${seed}" "${seed}" "${baseline[@]}"
    done
}

ingestors() { # German's decoders with the weighted embedding and with BeamConv, each lent to the listener, which met neither
    local seed train_args
    for seed in ${seeds}; do
        train_args=${short}
        read_german train E9 De-En,WEmb lego conf/train.yaml "${seed}" --inference_config conf/decode.yaml
        read_german train E9 De-En,BeamConv beamconv conf/tuning/train_beamconv.yaml "${seed}" \
            --inference_config conf/decode.yaml --compare_with "${expdir}/lego_s${seed}/decode"
        train_args=
        hear 1000 train E9 listener frames conf/train_speech.yaml "${seed}" --inference_config conf/decode.yaml
        hear 1000 swap E9 listener+De-En,WEmb "frames_s${seed}" "lego_s${seed}" "${seed}" \
            --inference_config conf/decode.yaml --compare_with "${expdir}/frames_s${seed}/decode"
        hear 1000 swap E9 listener+De-En,BeamConv "frames_s${seed}" "beamconv_s${seed}" "${seed}" \
            --inference_config conf/decode.yaml \
            --compare_with "${expdir}/frames_s${seed}/decode ${expdir}/compose_frames_s${seed}_lego_s${seed}/decode"
    done
}

need() { # need EXPERIMENT FILE REMEDY: what is missing is told before anything is trained
    [[ " ${experiments} " != *" $1 "* ]] || [ "${plan}" = true ] || [ -e "$2" ] || {
        echo "$0: error: $1 needs $2, which is missing: $3" >&2
        exit 2
    }
}

for experiment in ${experiments}; do
    case "${experiment}" in
        E1 | E2 | E3 | E6 | E7 | E8 | E9) ;;
        *)
            echo "$0: error: --experiments ${experiment}: there are E1, E2, E3, E6, E7, E8 and E9" >&2
            exit 2
            ;;
    esac
done
need E6 "${lender}" "its decoder is lent; ./run.sh comes first, or --lender"
for experiment in E1 E7 E8 E9; do need "${experiment}" "${tokens}" "./run.sh --stop_stage 5 comes first"; done
. "${template}/path.sh"
for experiment in ${experiments}; do
    case "${experiment}" in
        E1) listeners ;;
        E2)
            swap_seeds E2 LegoNN lego conf/train.yaml conf/decode.yaml "${short}"
            swap_seeds E2 encoder-decoder attention conf/tuning/train_attention.yaml conf/tuning/decode_attention.yaml "${short}"
            ;;
        E3) swap_seeds E3 LegoNN-without-CTC noctc conf/tuning/train_no_ctc.yaml conf/tuning/decode_attention.yaml "${shorter}" ;;
        E6)
            listen listener,frames frames conf/train_speech.yaml
            listen listener,counted counted conf/tuning/train_counted.yaml
            ;;
        E7) chains ;;
        E8) tenth ;;
        E9) ingestors ;;
    esac
done
[ "${plan}" = false ] || exit 0

"${python:-python3}" -m legonn.bin.report --results "${results}" --preface RESULTS.preface.md --output "${report}"
