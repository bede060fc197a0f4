#!/usr/bin/env bash
# The experiments of RESULTS.md, text and speech to English. Goes on where it was stopped, and skips what is done.
#
#   ./board.sh                                 all, seeds 1 and 2: a day on two cores
#   ./board.sh --experiments "E1 E2 E3"        three to five hours on two cores with bf16
#   ./board.sh --experiments E4 --seeds "1 2 3"
#   ./board.sh --plan true                     what would be trained, decoded and compared; nothing is run
#   ./board.sh -- --nj 1 ...                   options after -- go to every run.sh
#
#   E1  LegoNN against the plain encoder-decoder, German to English; other decodings, and BeamConv
#   E2  decoders swapped between seeds; and E4's lent one behind an encoder of another depth and width, and the other way round
#   E3  E2 without CTC, from the start, and after a training with it
#   E4  French, 5,000 pairs, with the decoder of German's 24,000: no caption in common. One decoder, the first seed's, is
#       lent to all seeds of French; and with one of the same English, learned without any German
#   E5  E4 fine-tuned; German's encoder with French tokens; and E4 and E5 for 1,000, 2,000 and 10,000 pairs, with the
#       first seed
#   E6  English captions spoken (synthetic), with German-English decoders, untouched and fine-tuned: 1.2 hours and a list of
#       300 pieces, behind LegoNN's encoder and behind the baseline's own, there also beside its decoder; and both with a
#       language model of the borrowed decoder's captions. 0.7 hours, behind the baseline's encoder. With the first seed: 2.4
#       hours of that; a bridge of text from the pieces to E4's decoder. 2.4 hours and E4's list; and average pooling in place
#       of the length controller, with the first seed
#   E9  ingestors: BeamConv; and, with the first seed, decoders with the weighted embedding, of one position and of three,
#       and with BeamConv, that learned behind E4's lent encoder: there, and untouched behind E2's other and behind French's
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../TEMPLATE/lego1/utils/options.sh
. ../../TEMPLATE/lego1/utils/boards.sh

experiments="E1 E2 E3 E4 E5 E6 E9"
seeds="1 2"
take_options "experiments seeds expdir results report lego_args plan" "$@"
first=${seeds%% *}

swap_seeds() { # swap_seeds EXPERIMENT SYSTEM NAME DECODING OPTION ...: each seed's encoder with the next one's decoder
    local experiment=$1 system=$2 name=$3 decoding=$4 seed other
    shift 4
    for seed in ${seeds}; do
        other=$(next_seed "${seed}")
        [ "${other}" != "${seed}" ] || continue
        swap "${experiment}" "${system},swapped" "${name}_s${seed}" "${name}_s${other}" "${seed}" \
            --compare_with "${expdir}/${name}_s${seed}/${decoding}" "$@"
    done
}

plain=(--inference_config conf/decode_attention.yaml)
greedy=(--stage 12 --inference_config conf/tuning/decode_ctc_greedy.yaml)
alone=(--stage 12 --inference_config conf/tuning/decode_decoder_alone.yaml)
spelled=(--inference_config conf/tuning/decode_speech_pieces.yaml)
borrowed=(--inference_config conf/tuning/decode_speech_borrowed.yaml)
together=(--inference_config conf/tuning/decode_speech_together.yaml)

german() { # German and its baseline, all seeds
    local seed
    for seed in ${seeds}; do
        train E1 encoder-decoder attention conf/train_attention.yaml "${seed}" "${plain[@]}"
        train E1 LegoNN-WEmb lego conf/train.yaml "${seed}" --compare_with "${expdir}/attention_s${seed}/decode_attention"
    done
}

beamconv() {
    train E1 LegoNN-BeamConv beamconv conf/tuning/train_beamconv.yaml "${first}" \
        --compare_with "${expdir}/attention_s${first}/decode_attention"
}

e1() {
    german
    local seed
    for seed in ${seeds}; do
        train E1 LegoNN-WEmb,decoder-alone lego conf/train.yaml "${seed}" "${alone[@]}"
        train E1 LegoNN-WEmb,CTC-greedy lego conf/train.yaml "${seed}" "${greedy[@]}"
    done
    beamconv
}

e2() {
    german
    swap_seeds E2 LegoNN-WEmb lego decode
    swap_seeds E2 encoder-decoder attention decode_attention "${plain[@]}"
    other_architecture
}

other_architecture() { # the lent decoder behind an encoder of another depth and width, and the other way round
    local lender
    lender=donor$(lent 5000)
    donor 5000
    train E2 other-architecture,24000 other conf/tuning/train_other_encoder.yaml "${first}" "${as_donor[@]}"
    swap E2 other-encoder+De-En-decoder,24000 "other_s${first}" "${lender}" "${first}" "${as_donor[@]}" \
        --compare_with "${expdir}/other_s${first}/decode"
    swap E2 De-En-encoder+other-decoder,24000 "${lender}" "other_s${first}" "${first}" "${as_donor[@]}" \
        --compare_with "${expdir}/${lender}/decode"
}

e3() {
    local seed
    for seed in ${seeds}; do
        train E3 LegoNN-without-CTC noctc conf/tuning/train_no_ctc.yaml "${seed}" "${alone[@]:2}"
    done
    swap_seeds E3 LegoNN-without-CTC noctc decode_decoder_alone "${alone[@]:2}"
    german
    for seed in ${seeds}; do
        train E3 LegoNN-less-CTC lessctc conf/tuning/train_less_ctc.yaml "${seed}" "${alone[@]:2}" \
            --pretrained_encoder "${expdir}/lego_s${seed}" --pretrained_decoder "${expdir}/lego_s${seed}"
    done
    swap_seeds E3 LegoNN-less-CTC lessctc decode_decoder_alone "${alone[@]:2}"
}

# French has the captions that the decoder which it borrows did not see, and that decoder's token list.
declare -A french_pairs=([1000]=24001-25000 [2000]=24001-26000 [5000]=24001-29000 [10000]=19001-29000)
declare -A donor_pairs=([1000]=1-24000 [2000]=1-24000 [5000]=1-24000 [10000]=1-19000)
# Fewer pairs get more epochs; an epoch has a batch for about 45 pairs.
declare -A low_training=([1000]="--max_epoch 60" [2000]="--max_epoch 40" [5000]="" [10000]="--max_epoch 16")
declare -A plain_training=([1000]="--max_epoch 100 --scheduler_conf max_steps=auto"
    [2000]="--max_epoch 70 --scheduler_conf max_steps=auto" [5000]="" [10000]="--max_epoch 30 --scheduler_conf max_steps=auto")

french() { # french PAIRS: the options of run.sh for them
    echo "--src_lang fr --train_pairs ${french_pairs[$1]} --token_listdir data/en_token_list/bpe_unigram2000_${donor_pairs[$1]}"
}

lent() { # lent PAIRS: the experiment whose decoder is lent to French of so many
    echo "${donor_pairs[$1]#1-}_s${first}"
}

low_resource() { # low_resource PAIRS SEED: without the other's decoder, then with it, untouched
    local pairs=$1 seed=$2 tag=low$1 train_args=${plain_training[$1]} data baseline
    read -ra data <<<"$(french "$1")"
    baseline=${expdir}/${tag}_attention_s${seed}/decode_attention
    train E4 "encoder-decoder,${pairs}" "${tag}_attention" conf/tuning/train_low_attention.yaml "${seed}" "${data[@]}" "${plain[@]}"
    train_args=${low_training[$1]}
    train E4 "LegoNN,${pairs}" "${tag}" conf/tuning/train_low.yaml "${seed}" "${data[@]}" --compare_with "${baseline}"
    swap E4 "Fr-encoder+De-En-decoder,${pairs}" "${tag}_s${seed}" "donor$(lent "${pairs}")" "${seed}" "${data[@]}" \
        --compare_with "${baseline}"
    train E4 "Fr-encoder-for-De-En-decoder,${pairs}" "${tag}_for_donor" conf/tuning/train_low.yaml "${seed}" "${data[@]}" \
        --pretrained_decoder "${expdir}/donor$(lent "${pairs}")" --freeze decoder --compare_with "${baseline}"
}

as_donor=(--train_pairs "${donor_pairs[5000]}" --token_listdir "data/en_token_list/bpe_unigram2000_${donor_pairs[5000]}")

donor() { # donor PAIRS: whose decoder is lent to French of so many
    local range=${donor_pairs[$1]}
    train E4 "De-En-${range#1-}" "donor${range#1-}" conf/tuning/train_donor.yaml "${first}" --train_pairs "${range}" \
        --token_listdir ""
}

text_only() { # text_only PAIRS: a decoder of the donor's English, without its German
    local range=${donor_pairs[$1]}
    train E4 "English-${range#1-}" "english${range#1-}" conf/tuning/train_text_only.yaml "${first}" --src_lang en \
        --train_pairs "${range}" --token_listdir "data/en_token_list/bpe_unigram2000_${range}" --stop_stage 11
}

e4() {
    local seed data
    donor 5000
    text_only 5000
    read -ra data <<<"$(french 5000)"
    for seed in ${seeds}; do
        low_resource 5000 "${seed}"
        swap E4 "Fr-encoder+English-decoder,5000" "low5000_s${seed}" "english$(lent 5000)" "${seed}" "${data[@]}" \
            --compare_with "${expdir}/low5000_s${seed}/decode"
    done
}

fine_tune() { # fine_tune PAIRS SEED
    local pairs=$1 seed=$2 data
    read -ra data <<<"$(french "$1")"
    train E5 "Fr-encoder+De-En-decoder,fine-tuned,${pairs}" "low${pairs}_finetuned" conf/tuning/train_finetune.yaml "${seed}" \
        "${data[@]}" --pretrained_encoder "${expdir}/low${pairs}_for_donor_s${seed}" \
        --pretrained_decoder "${expdir}/donor$(lent "${pairs}")" \
        --compare_with "${expdir}/low${pairs}_attention_s${seed}/decode_attention"
}

inherit() { # inherit PAIRS SEED: the German encoder, too, with French tokens
    local pairs=$1 seed=$2 train_args=${low_training[$1]} data lender
    lender=${expdir}/donor$(lent "$1")
    read -ra data <<<"$(french "$1")"
    train E5 "De-encoder-taught-French+De-En-decoder,${pairs}" "low${pairs}_inherited" conf/tuning/train_inherit.yaml "${seed}" \
        "${data[@]}" --pretrained_encoder "${lender}" --pretrained_decoder "${lender}" --freeze decoder \
        --compare_with "${expdir}/low${pairs}_attention_s${seed}/decode_attention"
}

e5() {
    e4
    local seed pairs
    for seed in ${seeds}; do
        fine_tune 5000 "${seed}"
        inherit 5000 "${seed}"
    done
    for pairs in 1000 2000 10000; do
        donor "${pairs}"
        low_resource "${pairs}" "${first}"
        fine_tune "${pairs}" "${first}"
    done
}

e6() {
    local seed lender baseline spoken=(--src_modality speech)
    lender=${expdir}/donor$(lent 5000)
    donor 5000
    spoken+=(--train_pairs 26501-29000 --token_listdir "data/en_token_list/bpe_unigram2000_${donor_pairs[5000]}")
    for seed in ${seeds}; do
        baseline=${expdir}/spoken2500_hybrid_s${seed}/decode_speech
        train E6 hybrid,2500 spoken2500_hybrid conf/train_speech_hybrid.yaml "${seed}" "${spoken[@]}"
        train E6 English-ASR,2500 spoken2500 conf/train_speech.yaml "${seed}" "${spoken[@]}" --compare_with "${baseline}"
        train E6 English-ASR,CTC-greedy,2500 spoken2500 conf/train_speech.yaml "${seed}" "${spoken[@]}" "${greedy[@]}"
        swap E6 ASR-encoder+De-En-decoder,2500 "spoken2500_s${seed}" "donor$(lent 5000)" "${seed}" "${spoken[@]}" \
            --compare_with "${baseline}"
        train E6 ASR-encoder+De-En-decoder,fine-tuned,2500 spoken2500_finetuned conf/tuning/train_speech_finetune.yaml \
            "${seed}" "${spoken[@]}" --pretrained_encoder "${expdir}/spoken2500_s${seed}" \
            --pretrained_decoder "${lender}" --compare_with "${baseline}"
    done
    pieces
    train E6 English-ASR,pooling,2500 spoken2500_pooling conf/tuning/train_speech_pooling.yaml "${first}" \
        "${spoken[@]}" --compare_with "${expdir}/spoken2500_s${first}/decode_speech"
    swap E6 ASR-encoder,pooling+De-En-decoder,2500 "spoken2500_pooling_s${first}" "donor$(lent 5000)" "${first}" \
        "${spoken[@]}" --compare_with "${expdir}/compose_spoken2500_s${first}_donor$(lent 5000)/decode_speech"
}

# Listeners that write 300 pieces. The German-English decoder that they borrow is over these pieces, too, or a bridge, made of
# text, leads from them to the tokens of the one that French borrows.
declare -A spoken_captions=([750]=28251-29000 [1250]=27751-29000 [2500]=26501-29000)

pieces() {
    local list text=${donor_pairs[5000]}
    list=data/en_token_list/bpe_unigram300_${text}
    recipe E6 pieces --train_pairs "${text}" --nbpe 300 --token_listdir "" --stop_stage 8 --use_lm true \
        --lm_exp "$(captions_model)" --lm_args "--seed ${first}"
    train E6 "De-En,pieces,${text#1-}" "donor${text#1-}_pieces" conf/tuning/train_donor_pieces.yaml "${first}" \
        --train_pairs "${text}" --token_listdir "${list}"
    local seed
    for seed in ${seeds}; do
        listen_for_pieces 750 "${seed}" "${list}" hybrid_pieces
        listen_for_pieces 1250 "${seed}" "${list}" hybrid_pieces pieces
        late_decoder 1250 "${seed}" "${list}"
    done
    listen_for_pieces 2500 "${first}" "${list}" hybrid_pieces pieces
    bridge_from_pieces "${text}" "${list}"
}

captions_model() { # the language model of the captions that the lent decoder learned
    echo "${expdir}/lm${donor_pairs[5000]#1-}_pieces_s${first}"
}

listen_for_pieces() { # listen_for_pieces CAPTIONS SEED LIST ENCODER ...: own decoders, and the borrowed one; hybrid_pieces first
    local captions=$1 seed=$2 list=$3 tag=spoken$1 baseline data lender encoder name listener advised
    lender=donor${donor_pairs[5000]#1-}_pieces_s${first}
    data=(--src_modality speech --train_pairs "${spoken_captions[$1]}" --token_listdir "${list}"
        --speed_perturb_factors "0.9 1.0 1.1")
    baseline=(--compare_with "${expdir}/${tag}_hybrid_pieces_s${seed}/decode_speech_pieces")
    for encoder in "${@:4}"; do
        listener=${tag}_${encoder}_s${seed}
        if [ "${encoder}" = pieces ]; then
            name="ASR-encoder,pieces"
            train E6 "English-ASR,pieces,${captions}" "${tag}_pieces" conf/tuning/train_speech_pieces.yaml "${seed}" "${data[@]}" \
                "${baseline[@]}"
            train E6 "English-ASR,pieces,CTC-greedy,${captions}" "${tag}_pieces" conf/tuning/train_speech_pieces.yaml "${seed}" \
                "${data[@]}" "${greedy[@]}"
        else
            name="hybrid-encoder,pieces"
            train E6 "hybrid,pieces,${captions}" "${tag}_hybrid_pieces" conf/tuning/train_speech_hybrid_pieces.yaml "${seed}" \
                "${data[@]}" "${spelled[@]}"
            more_scores="--seed ${seed}" train E6 "hybrid,pieces,CTC-greedy,${captions}" "${tag}_hybrid_pieces" \
                conf/tuning/train_speech_hybrid_pieces.yaml "${seed}" "${data[@]}" "${greedy[@]}" "${baseline[@]}"
        fi
        # What the interface alone says is in the one as in the other.
        swap E6 "${name}+De-En-decoder,${captions}" "${listener}" "${lender}" "${seed}" "${data[@]}" \
            "${borrowed[@]}" --compare_with "${baseline[1]} ${listener},CTC-greedy=${expdir}/${listener}/decode_ctc_greedy"
        train E6 "${name}+De-En-decoder,fine-tuned,${captions}" "${tag}_${encoder}_finetuned" \
            conf/tuning/train_speech_pieces_finetune.yaml "${seed}" "${data[@]}" "${borrowed[@]}" "${baseline[@]}" \
            --pretrained_encoder "${expdir}/${listener}" --pretrained_decoder "${expdir}/${lender}"
    done
    listener=${tag}_hybrid_pieces_s${seed}
    swap E6 "hybrid-encoder,pieces+De-En-decoder+own-decoder,${captions}" "${listener}" "${lender}" "${seed}" \
        "${data[@]}" "${together[@]}" --ensemble "${expdir}/${listener}" "${baseline[@]}"
    advised=${expdir}/ensemble_${listener}_with_$(basename "$(captions_model)")/decode_speech_lm
    more_scores="--seed ${seed}" train E6 "hybrid,pieces+LM,${captions}" "${tag}_hybrid_pieces" \
        conf/tuning/train_speech_hybrid_pieces.yaml "${seed}" "${data[@]}" --inference_config conf/tuning/decode_speech_lm.yaml --pretrained_lm "$(captions_model)" "${baseline[@]}"
    swap E6 "hybrid-encoder,pieces+De-En-decoder+own-decoder+LM,${captions}" "${listener}" "${lender}" "${seed}" \
        "${data[@]}" --inference_config conf/tuning/decode_speech_together_lm.yaml --ensemble "${expdir}/${listener}" \
        --pretrained_lm "$(captions_model)" --compare_with "${baseline[1]} ${advised}"
}

late_decoder() { # late_decoder CAPTIONS SEED LIST: no length controller, and a decoder that begins anew when CTC has learned
    local captions=$1 seed=$2 tag=spoken$1 lender=donor${donor_pairs[5000]#1-}_pieces_s${first} data own hybrid train_args
    local config=conf/tuning/train_speech_pieces_no_control.yaml listener=spoken$1_fresh_decoder_s$2
    data=(--src_modality speech --train_pairs "${spoken_captions[$1]}" --token_listdir "$3"
        --speed_perturb_factors "0.9 1.0 1.1")
    hybrid=${expdir}/${tag}_hybrid_pieces_s${seed}/decode_speech_pieces
    own=${expdir}/${listener}/decode_speech_pieces
    train_args="--max_epoch 5 --scheduler_conf max_steps=5440"
    train E6 "no-control,begun,${captions}" "${tag}_no_control" "${config}" "${seed}" "${data[@]}" --stop_stage 11
    train_args="--max_epoch 11"
    train E6 "English-ASR,pieces,no-control,${captions}" "${tag}_fresh_decoder" "${config}" "${seed}" "${data[@]}" \
        "${spelled[@]}" --pretrained_encoder "${expdir}/${tag}_no_control_s${seed}:latest.pth" --compare_with "${hybrid}"
    swap E6 "ASR-encoder,pieces,no-control+De-En-decoder,${captions}" "${listener}" "${lender}" "${seed}" \
        "${data[@]}" "${borrowed[@]}" --compare_with "${hybrid} ${own}"
    swap E6 "ASR-encoder,pieces,no-control+De-En-decoder+own-decoder,${captions}" "${listener}" "${lender}" \
        "${seed}" "${data[@]}" "${together[@]}" --ensemble "${expdir}/${listener}" --compare_with "${hybrid} ${own}"
    # From the same beginning, in front of the lent decoder.
    train_args="--max_epoch 11"
    train E6 "ASR-encoder-for-De-En-decoder,pieces,no-control,${captions}" "${tag}_for_donor" "${config}" "${seed}" \
        "${data[@]}" "${borrowed[@]}" --pretrained_encoder "${expdir}/${tag}_no_control_s${seed}:latest.pth" \
        --pretrained_decoder "${expdir}/${lender}" --freeze decoder \
        --compare_with "${hybrid} ${own} ${expdir}/compose_${listener}_${lender}/decode_speech_borrowed"
}

bridge_from_pieces() { # bridge_from_pieces PAIRS LIST: of the text PAIRS, behind the first seed's listener of 2,500 captions
    local text=$1 list=$2 lender=${expdir}/donor${1#1-}_s${first} bridge=${expdir}/bridge${1#1-}_s${first}
    local tokens=data/en_token_list/bpe_unigram2000_${text} baseline spoken
    train E6 bridge "bridge${text#1-}" conf/tuning/train_bridge.yaml "${first}" --src_lang en --train_pairs "${text}" \
        --token_listdir "${tokens}" --src_token_listdir "${list}" --interface_listdir "${list}" \
        --pretrained_decoder "${lender}" --freeze decoder --stop_stage 11
    spoken=(--src_modality speech --train_pairs "${spoken_captions[2500]}" --token_listdir "${tokens}")
    baseline=(--compare_with "${expdir}/spoken2500_hybrid_pieces_s${first}/decode_speech_pieces")
    swap E6 ASR-encoder,pieces+bridge+De-En-decoder,2500 "spoken2500_pieces_s${first}" "donor${text#1-}_s${first}" "${first}" \
        "${spoken[@]}" --pretrained_bridge "${bridge}" "${baseline[@]}"
    train E6 ASR-encoder,pieces+bridge+De-En-decoder,fine-tuned,2500 spoken2500_bridge_finetuned \
        conf/tuning/train_speech_bridge.yaml "${first}" "${spoken[@]}" --speed_perturb_factors "0.9 1.0 1.1" \
        --interface_listdir "${list}" --pretrained_encoder "${expdir}/spoken2500_pieces_s${first}" \
        --pretrained_decoder "${lender}" --pretrained_bridge "${bridge}" "${baseline[@]}"
}

e9() {
    german
    beamconv
    local other lender
    other=$(next_seed "${first}")
    swap E9 beamconv,behind-another-encoder "lego_s${other}" "beamconv_s${first}" "${first}" \
        --compare_with "${expdir}/lego_s${other}/decode"
    other_architecture
    low_resource 5000 "${first}"
    ingestors
}

ingestors() { # decoders that learned behind the lent one's encoder, which stayed as it is; then behind two that they never met
    local ingestor config name train_args data compared=
    read -ra data <<<"$(french 5000)"
    for ingestor in WEmb,R=1 WEmb,R=3 BeamConv; do
        config=conf/tuning/train_receptive_field.yaml
        train_args=
        case "${ingestor}" in
            WEmb,R=1)
                name=behind_r1
                train_args="--ingestor_conf receptive_field=1"
                ;;
            WEmb,R=3) name=behind_r3 ;;
            BeamConv)
                name=behind_beamconv
                config=conf/tuning/train_beamconv_decoder.yaml
                ;;
        esac
        train E9 "De-En-encoder+${ingestor},24000" "${name}" "${config}" "${first}" "${as_donor[@]}" \
            --pretrained_encoder "${expdir}/donor$(lent 5000)" ${compared:+--compare_with "${compared}/decode"}
        swap E9 "other-encoder+${ingestor},24000" "other_s${first}" "${name}_s${first}" "${first}" "${as_donor[@]}" \
            ${compared:+--compare_with "${expdir}/compose_other_s${first}_$(basename "${compared}")/decode"}
        swap E9 "Fr-encoder+${ingestor},5000" "low5000_for_donor_s${first}" "${name}_s${first}" "${first}" "${data[@]}" \
            ${compared:+--compare_with "${expdir}/compose_low5000_for_donor_s${first}_$(basename "${compared}")/decode"}
        compared=${compared:-${expdir}/behind_r1_s${first}}
    done
}

for experiment in ${experiments}; do
    case "${experiment}" in
        E1) e1 ;; E2) e2 ;; E3) e3 ;; E4) e4 ;; E5) e5 ;; E6) e6 ;; E9) e9 ;;
        *) echo "$0: error: no experiment ${experiment}: there are E1 E2 E3 E4 E5 E6 E9" >&2; exit 2 ;;
    esac
done
[ "${plan}" = false ] || exit 0

. ../../TEMPLATE/lego1/path.sh
curve=()
if [[ " ${experiments} " = *" E5 "* ]]; then
    curve=(--curve "$(dirname "${results}")/low_resource.svg" --test_set test_2016_flickr_fr_en)
fi
"${python:-python3}" -m legonn.bin.report --results "${results}" --preface RESULTS.preface.md --output "${report}" \
    ${curve[@]+"${curve[@]}"}
