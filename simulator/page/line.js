// A person's phone in one call: what the microphone or a file says goes out, what comes in is played.

/** Opens the microphone once for all lines; rejects when the browser refuses it. */
let microphone;
export function openMicrophone() {
  microphone ??= navigator.mediaDevices
    .getUserMedia({ audio: { echoCancellation: true, noiseSuppression: false, autoGainControl: false } })
    .catch((error) => {
      microphone = undefined;
      throw error;
    });
  return microphone;
}

/** The loudest sample, 0 to 1. */
function peak(samples) {
  let most = 0;
  for (const sample of samples) most = Math.max(most, Math.abs(sample));
  return most / 32_768;
}

/** `send` gets s16le of the call's rate, 20 ms a piece. `file` holds the bytes of a sound file, or is undefined. */
export async function openLine({ rate, file, send, onLevel }) {
  const context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
  await context.audioWorklet.addModule("/page/worklet.js");
  const capture = new AudioWorkletNode(context, "microphone", {
    numberOfOutputs: 0,
    channelCount: 1,
    channelCountMode: "explicit",
  });
  const player = new AudioWorkletNode(context, "loudspeaker", { numberOfInputs: 0, outputChannelCount: [1] });
  player.connect(context.destination);
  capture.port.onmessage = ({ data }) => {
    onLevel("said", peak(new Int16Array(data)));
    send(data);
  };
  let source;
  if (file) {
    source = context.createBufferSource();
    source.buffer = await context.decodeAudioData(file.slice(0));
    source.connect(capture);
    source.start();
  } else context.createMediaStreamSource(await openMicrophone()).connect(capture);
  await context.resume();
  return {
    hear(pcm) {
      onLevel("heard", peak(new Int16Array(pcm)));
      player.port.postMessage(pcm, [pcm]);
    },
    close() {
      source?.stop();
      void context.close();
    },
  };
}
