/** ITU-T G.711, by tables: one byte per sample at 8 kHz, s16 on the linear side. */

const BIAS = 0x84;
const MU_CLIP = 32_635;

function expandMuLaw(byte: number): number {
  const code = ~byte & 0xff;
  const exponent = (code >> 4) & 7;
  const magnitude = ((((code & 0x0f) << 3) + BIAS) << exponent) - BIAS;
  return code & 0x80 ? -magnitude : magnitude;
}

function compressMuLaw(sample: number): number {
  const negative = sample < 0;
  const magnitude = Math.min(negative ? -sample : sample, MU_CLIP) + BIAS;
  const exponent = 31 - Math.clz32(magnitude) - 7;
  const code = (negative ? 0x80 : 0) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0f);
  return ~code & 0xff;
}

function expandALaw(byte: number): number {
  const code = byte ^ 0x55;
  const exponent = (code >> 4) & 7;
  const mantissa = code & 0x0f;
  const magnitude = exponent === 0 ? (mantissa << 4) + 8 : ((mantissa << 4) + 0x108) << (exponent - 1);
  return code & 0x80 ? magnitude : -magnitude;
}

function compressALaw(sample: number): number {
  // One's complement of negative values keeps both signs symmetrical, as in the reference implementation of the ITU.
  const negative = sample < 0;
  const magnitude = (negative ? ~sample : sample) >> 4;
  let code = magnitude;
  if (magnitude > 15) {
    const exponent = 31 - Math.clz32(magnitude) - 3;
    code = (exponent << 4) | ((magnitude >> (exponent - 1)) & 0x0f);
  }
  return (negative ? code : code | 0x80) ^ 0x55;
}

function table(expand: (byte: number) => number): Int16Array {
  return Int16Array.from({ length: 256 }, (_, byte) => expand(byte));
}

function inverse(compress: (sample: number) => number): Uint8Array {
  const result = new Uint8Array(65_536);
  for (let sample = -32_768; sample <= 32_767; sample++) result[sample & 0xffff] = compress(sample);
  return result;
}

/** The two laws. */
export type G711Law = "MULAW" | "ALAW";

const DECODE: Record<G711Law, Int16Array> = { MULAW: table(expandMuLaw), ALAW: table(expandALaw) };
const ENCODE: Record<G711Law, Uint8Array> = {
  MULAW: inverse(compressMuLaw),
  ALAW: inverse(compressALaw),
};

/** Decodes each byte to one sample, in a new array. */
export function decodeG711(law: G711Law, bytes: Uint8Array): Int16Array {
  const lookup = DECODE[law];
  const samples = new Int16Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) samples[i] = lookup[bytes[i] as number] as number;
  return samples;
}

/** Encodes each sample to one byte, in a new array. Louder than the law can carry is clipped. */
export function encodeG711(law: G711Law, samples: Int16Array): Uint8Array {
  const lookup = ENCODE[law];
  const bytes = new Uint8Array(samples.length);
  for (let i = 0; i < samples.length; i++) bytes[i] = lookup[(samples[i] as number) & 0xffff] as number;
  return bytes;
}
