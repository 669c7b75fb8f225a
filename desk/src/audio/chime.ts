import { audioContext } from "./speaker.js";

/** Two soft tones: somebody waits. Silent when the browser does not let the page sound yet. */
export async function chime(): Promise<void> {
  try {
    const context = await audioContext();
    const gain = context.createGain();
    gain.connect(context.destination);
    gain.gain.setValueAtTime(0, context.currentTime);
    for (const [at, hz] of [
      [0, 660],
      [0.18, 880],
    ] as const) {
      const tone = context.createOscillator();
      tone.frequency.value = hz;
      tone.connect(gain);
      const from = context.currentTime + at;
      gain.gain.linearRampToValueAtTime(0.12, from + 0.02);
      gain.gain.exponentialRampToValueAtTime(0.001, from + 0.16);
      tone.start(from);
      tone.stop(from + 0.17);
    }
  } catch {
    // No sound then; the page still shows it.
  }
}
