#!/usr/bin/env bash
# Multi30k captions to English. Stages, and options beside these: ./run.sh --help
#
#   ./run.sh                                         German, LegoNN
#   ./run.sh --lego_config conf/train_attention.yaml the plain encoder-decoder of the same size
#   ./run.sh --src_lang fr --train_pairs 5000        French with few pairs; reads the English token
#                                                    list of German-English, so run that first
#   ./run.sh --train_pairs 1-24000 --token_listdir ""      German's first lines, with an English list of
#   ./run.sh --src_lang fr --train_pairs 24001-29000 \    their own, and French's others over that list:
#       --token_listdir data/en_token_list/bpe_unigram2000_1-24000     no caption in common
#   ./run.sh --src_lang fr --skip_train true --stage 12 \
#       --pretrained_encoder exp/lego_train_fr_en --pretrained_decoder exp/lego_train_de_en
#   ./run.sh --src_lang en --train_pairs 1-24000 --token_listdir data/en_token_list/bpe_unigram2000_1-24000 \
#       --lego_config conf/tuning/train_text_only.yaml       a decoder from English alone, of no translation
#   ./run.sh --src_modality speech --train_pairs 26501-29000    English captions as synthetic speech, over the English
#                                                    token list of German-English
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../TEMPLATE/lego1/utils/options.sh

src_modality=text # or speech, which is English
src_lang=de # de, fr or en
tgt_lang=en # the same
train_pairs=0 # of the 29,000: the first N, or lines M-N; 0: all
nbpe=2000 # tokens of a list
lego_config= # conf/train.yaml unless given, of speech conf/train_speech.yaml
lego_tag= # of the experiment's name, exp/lego_<tag>
python=python3 # the interpreter
take_options "src_modality src_lang tgt_lang train_pairs nbpe lego_config lego_tag python" "$@"
[ "${python}" = python3 ] || remaining=(--python "${python}" ${remaining[@]+"${remaining[@]}"})

spoken=false
decoding=conf/decode.yaml
if [ "${src_modality}" = speech ]; then
    case "${src_lang} ${tgt_lang}" in
        "de en" | "en en") src_lang=en ;; # German is text's default
        *) echo "$0: error: --src_modality speech is for English captions in English: leave the languages out" >&2; exit 2 ;;
    esac
    if [[ ! " ${remaining[*]-} " =~ \ --token[_-]listdir[\ =] ]] &&
        [ ! -f "data/en_token_list/bpe_unigram${nbpe}/tokens.txt" ]; then
        echo "$0: error: speech takes the English token list of German-English: ./run.sh --nbpe ${nbpe} --stop_stage 5" \
            "makes it" >&2
        exit 2
    fi
    spoken=true
    : "${lego_config:=conf/train_speech.yaml}"
    decoding=conf/decode_speech.yaml
fi
: "${lego_config:=conf/train.yaml}"

. ../../TEMPLATE/lego1/path.sh
# A plain encoder-decoder has no interface, whose CTC conf/decode.yaml asks for.
settings=$("${python}" ../../TEMPLATE/lego1/utils/settings.py "${lego_config}")
if grep -qx 'system: "attention"' <<<"${settings}"; then
    decoding=conf/decode_attention.yaml
fi

pair=${src_lang}_${tgt_lang}
[ "${src_lang}" != "${tgt_lang}" ] || pair=${tgt_lang}
size=
ending=
options=()
if "${spoken}"; then
    ending=_speech
    options=(--src_modality speech --token_listdir "data/${tgt_lang}_token_list/bpe_unigram${nbpe}")
    [ "${train_pairs}" = 0 ] || size=_${train_pairs}
    # With --token_listdir "" the list is of these captions alone, and needs a name of its own.
    options+=(--token_tag "speech${size}")
elif [ "${train_pairs}" != 0 ]; then
    size=_${train_pairs}
    # The source's token list is learned from the few pairs alone, the target's is the large one.
    options=(--token_tag "${train_pairs}"
        --token_listdir "data/${tgt_lang}_token_list/bpe_unigram${nbpe}")
    # Stages 1 to 4, and compositions, take no list.
    unlisted='\ --(token[_-]listdir[\ =]|stop_stage[\ =][1-4]\ |skip_train[\ =]true)'
    all_from=de
    [ "${tgt_lang}" != de ] || all_from=${src_lang}
    if [[ ! " ${remaining[*]-} " =~ ${unlisted} ]] && [ ! -f "${options[3]}/tokens.txt" ]; then
        echo "$0: error: --train_pairs takes the ${tgt_lang} token list of all pairs: ./run.sh --src_lang ${all_from}" \
            "--tgt_lang ${tgt_lang} --nbpe ${nbpe} --stop_stage 5 makes it; or make one of these pairs with" \
            "--token_listdir \"\"" >&2
        exit 2
    fi
fi
if [ -n "${lego_tag}" ]; then
    options+=(--lego_tag "${lego_tag}")
elif [ -n "${size}" ]; then
    options+=(--lego_tag "$(basename "${lego_config}" .yaml)_${pair}${size}${ending}")
fi

../../TEMPLATE/lego1/lego.sh \
    --local_data_opts "--spoken ${spoken} --src_lang ${src_lang} --tgt_lang ${tgt_lang} --train_pairs ${train_pairs}" \
    --train_set "train_${pair}${size}${ending}" \
    --valid_set "val_${pair}${ending}" \
    --test_sets "val_${pair}${ending} test_2016_flickr_${pair}${ending}" \
    --src_lang "${src_lang}" --tgt_lang "${tgt_lang}" \
    --token_type bpe --bpemode unigram --nbpe "${nbpe}" \
    --lego_config "${lego_config}" \
    --inference_config "${decoding}" \
    ${options[@]+"${options[@]}"} ${remaining[@]+"${remaining[@]}"}
