"""Speech recognition by pocketsphinx as a separate program, for several utterances at once.

stdin:  frames of <u32le length of what follows><u8 kind><u32le utterance><payload>
        kind 1 START  payload: JSON {"speaker": str?}
        kind 2 AUDIO  payload: s16le mono PCM, 16 kHz
        kind 3 END    no payload: the utterance is over, answer with its text
        kind 4 ABORT  no payload: forget the utterance
stdout: JSON lines
        {"type": "ready", "version": str}
        {"type": "partial", "id": int, "text": str}
        {"type": "final", "id": int, "text": str, "confidence": float | null, "audio_ms": int, "decode_ms": int,
         "truncated": bool}
        {"type": "error", "id": int | null, "message": str}

Ends when stdin ends. Bounds come as arguments: --max-decoders (each about 95 MB; an utterance without one waits, its
audio kept), --max-utterance-ms (more audio is left out and the result says so), --max-speakers (the cepstral means of
so many speakers are remembered; they make the second sentence of a caller easier than the first).
"""

import argparse
import json
import signal
import struct
import sys
import time
from collections import OrderedDict, deque

RATE = 16000
PARTIAL_EVERY_BYTES = RATE * 2 * 3 // 10
MAX_FRAME = 4 * 1024 * 1024


def emit(**message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Utterance:
    def __init__(self, number, speaker, max_bytes):
        self.number = number
        self.speaker = speaker
        self.decoder = None
        self.waiting = []
        self.ended = False
        self.bytes = 0
        self.max_bytes = max_bytes
        self.truncated = False
        self.since_partial = 0
        self.partial = ""
        self.decode_seconds = 0.0

    def audio(self, pcm):
        room = self.max_bytes - self.bytes
        if room < len(pcm):
            self.truncated = True
            pcm = pcm[: room & ~1]
        if not pcm:
            return
        self.bytes += len(pcm)
        if self.decoder is None:
            self.waiting.append(pcm)
        else:
            self.decode(pcm)

    def begin(self, decoder, means):
        self.decoder = decoder
        decoder.set_cmn(means)
        decoder.start_utt()
        for pcm in self.waiting:
            self.decode(pcm)
        self.waiting = []

    def decode(self, pcm):
        started = time.thread_time()
        self.decoder.process_raw(pcm, False, False)
        self.since_partial += len(pcm)
        if self.since_partial >= PARTIAL_EVERY_BYTES:
            self.since_partial = 0
            hypothesis = self.decoder.hyp()
            text = words_of(hypothesis.hypstr) if hypothesis else ""
            if text and text != self.partial:
                self.partial = text
                emit(type="partial", id=self.number, text=text)
        self.decode_seconds += time.thread_time() - started

    def finish(self):
        started = time.thread_time()
        self.decoder.end_utt()
        hypothesis = self.decoder.hyp()
        text = words_of(hypothesis.hypstr) if hypothesis else ""
        odds = [s.prob for s in self.decoder.seg() or [] if not s.word.startswith(("<", "["))]
        self.decode_seconds += time.thread_time() - started
        emit(
            type="final",
            id=self.number,
            text=text,
            confidence=round(sum(odds) / len(odds), 3) if odds else None,
            audio_ms=self.bytes * 1000 // (RATE * 2),
            decode_ms=round(self.decode_seconds * 1000),
            truncated=self.truncated,
        )


def words_of(hypothesis):
    """The hypothesis without noise marks and pronunciation variants such as `read(2)`."""
    words = [word.split("(")[0] for word in hypothesis.split()]
    return " ".join(word for word in words if word and not word.startswith(("<", "[")))


class Recogniser:
    def __init__(self, options):
        from pocketsphinx import Decoder

        self.make_decoder = lambda: Decoder(samprate=RATE, loglevel="FATAL")
        self.options = options
        self.free = [self.make_decoder()]
        self.made = 1
        self.first_means = self.free[0].get_cmn(False)
        self.speakers = OrderedDict()
        self.utterances = {}
        self.queue = deque()

    def start(self, number, payload):
        options = json.loads(payload or b"{}")
        max_bytes = self.options.max_utterance_ms * RATE * 2 // 1000
        utterance = Utterance(number, options.get("speaker"), max_bytes)
        self.utterances[number] = utterance
        self.queue.append(utterance)
        self.assign()

    def assign(self):
        while self.queue:
            if not self.free and self.made < self.options.max_decoders:
                self.free.append(self.make_decoder())
                self.made += 1
            if not self.free:
                return
            utterance = self.queue.popleft()
            if utterance.number not in self.utterances:
                continue
            utterance.begin(self.free.pop(), self.speakers.get(utterance.speaker, self.first_means))
            if utterance.ended:
                self.complete(utterance)

    def end(self, number):
        utterance = self.utterances.get(number)
        if utterance is None:
            return
        utterance.ended = True
        if utterance.decoder is not None:
            self.complete(utterance)
            self.assign()

    def complete(self, utterance):
        utterance.finish()
        if utterance.speaker and utterance.bytes > RATE:
            self.speakers[utterance.speaker] = utterance.decoder.get_cmn(True)
            self.speakers.move_to_end(utterance.speaker)
            if len(self.speakers) > self.options.max_speakers:
                self.speakers.popitem(last=False)
        self.release(utterance)

    def abort(self, number):
        utterance = self.utterances.get(number)
        if utterance is None:
            return
        if utterance.decoder is not None:
            utterance.decoder.end_utt()
        self.release(utterance)
        self.assign()

    def release(self, utterance):
        del self.utterances[utterance.number]
        if utterance.decoder is not None:
            self.free.append(utterance.decoder)
            utterance.decoder = None

    def frame(self, kind, number, payload):
        if kind == 1:
            self.start(number, payload)
        elif kind == 2:
            utterance = self.utterances.get(number)
            if utterance is not None:
                utterance.audio(payload)
        elif kind == 3:
            self.end(number)
        elif kind == 4:
            self.abort(number)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--max-decoders", type=int, default=4)
    parser.add_argument("--max-utterance-ms", type=int, default=60_000)
    parser.add_argument("--max-speakers", type=int, default=1000)
    # The terminal's Ctrl-C reaches the whole process group; the agent ends this program by closing stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    recogniser = Recogniser(parser.parse_args())
    import pocketsphinx

    emit(type="ready", version=getattr(pocketsphinx, "__version__", "5"))
    source = sys.stdin.buffer
    while True:
        header = source.read(9)
        if len(header) < 9:
            return
        length, kind, number = struct.unpack("<IBI", header)
        if length < 5 or length > MAX_FRAME:
            emit(type="error", id=None, message="frame of %d bytes" % length)
            sys.exit(2)
        payload = source.read(length - 5)
        try:
            recogniser.frame(kind, number, payload)
        except Exception as error:  # one utterance fails, the others go on
            emit(type="error", id=number, message="%s: %s" % (type(error).__name__, error))
            try:
                recogniser.abort(number)
            except Exception:
                sys.exit(3)


if __name__ == "__main__":
    main()
