package dev.callweave;

/** How samples are written; mono. */
public enum AudioEncoding {
  /** 16 bits, signed, little-endian. */
  S16LE,
  /** G.711 mu-law, at 8000 Hz alone. */
  MULAW,
  /** G.711 A-law, at 8000 Hz alone. */
  ALAW
}
