package dev.callweave;

/**
 * A format of mono audio.
 *
 * @param encoding how samples are written
 * @param sampleRateHertz 8000, 16000 or 24000; 0, where audio is asked for: the rate of the call
 */
public record AudioFormat(AudioEncoding encoding, int sampleRateHertz) {
  /**
   * 16 bits, signed, little-endian.
   *
   * @param sampleRateHertz 8000, 16000 or 24000; 0: the rate of the call
   * @return the format
   */
  public static AudioFormat s16le(int sampleRateHertz) {
    return new AudioFormat(AudioEncoding.S16LE, sampleRateHertz);
  }

  /** How many bytes a millisecond has. */
  double bytesPerMs() {
    return sampleRateHertz * (encoding == AudioEncoding.S16LE ? 2 : 1) / 1e3;
  }
}
