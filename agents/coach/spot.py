"""Spots a key phrase by pocketsphinx, offline.

stdin:  s16le mono PCM, 16 kHz
stdout: one line each time the phrase falls, flushed at once

    python spot.py PHRASE [THRESHOLD]

PHRASE is English, of words in the recogniser's dictionary, and best of three syllables or more. THRESHOLD is between 1e-50 (hears it
often, also where it was not said) and 1 (hears it seldom). Default: 1e-20. Exit status 1: a word that the dictionary does not have.
"""

import sys

RATE = 16000
CHUNK_BYTES = RATE * 2 // 10


def main():
    from pocketsphinx import Decoder

    phrase = sys.argv[1].lower()
    threshold = float(sys.argv[2]) if len(sys.argv) > 2 else 1e-20
    decoder = Decoder(samprate=RATE, keyphrase=phrase, kws_threshold=threshold, lm=None, loglevel="FATAL")
    unknown = [word for word in phrase.split() if decoder.lookup_word(word) is None]
    if unknown:
        sys.exit("not in the dictionary: " + " ".join(unknown))
    decoder.start_utt()
    while chunk := sys.stdin.buffer.read(CHUNK_BYTES):
        decoder.process_raw(chunk, False, False)
        if decoder.hyp():
            print(phrase, flush=True)
            decoder.end_utt()
            decoder.start_utt()


if __name__ == "__main__":
    main()
